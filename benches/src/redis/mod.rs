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
use crate::table::Row;

/// All rows, on one server of our own.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let server = Server::start().await?;
    let mut rows = free::rows(&server).await?;
    rows.extend(contended::rows(&server).await?);
    rows.extend(handoff::rows(&server).await?);
    rows.extend(duplicates::rows(&server).await?);
    rows.extend(kept::rows(&server).await?);
    Ok(rows)
}
