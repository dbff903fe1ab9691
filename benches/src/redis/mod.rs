//! Calls through Redis, beside the driver called by hand and beside other libraries.

mod contended;
mod duplicates;
mod floor;
mod free;
mod handoff;
mod kept;
mod peers;
mod roles;
pub(crate) mod server;

use anyhow::Result;

pub(crate) use self::roles::{ROLE, play};
use self::server::Server;
use crate::Options;
use crate::table::Row;

/// The rows that are wanted, on one server of our own.
pub(crate) async fn run(options: &Options) -> Result<Vec<Row>> {
    let server = Server::start().await?;
    let mut rows = free::rows(&server, options).await?;
    if options.want(&["contended", "herd"]) {
        rows.extend(contended::rows(&server).await?);
    }
    if options.want(&["handoff"]) {
        rows.extend(handoff::rows(&server).await?);
    }
    if options.want(&["duplicates"]) {
        rows.extend(duplicates::rows(&server).await?);
    }
    if options.want(&["renewal", "record"]) {
        rows.extend(kept::rows(&server).await?);
    }
    Ok(rows)
}
