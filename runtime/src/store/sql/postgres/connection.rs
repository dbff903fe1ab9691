//! The way to the server: what a URL says, and what a new connection is told.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

use crate::store::{BoxFuture, StoreError, StoreErrorKind};

/// Every plan goes through the index, also one that was made while the table was empty and is kept
/// by the connection; one plan is as good as the next. Waits for a row are short, as a rule.
const GREETING: &str = "set enable_seqscan = off; set plan_cache_mode = force_generic_plan; \
     set jit = off; set lock_timeout = '100ms'";

/// Tells a new connection how to go about our statements.
pub(super) fn greet(connection: &mut PgConnection) -> BoxFuture<'_, Result<(), sqlx::Error>> {
    Box::pin(async move { sqlx::raw_sql(GREETING).execute(connection).await.map(drop) })
}

/// The options in a URL.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    PgConnectOptions::from_str(url).map_err(|error| {
        let advice = "the URL cannot be used; write `postgres://USER:PASSWORD@HOST/DATABASE`";
        StoreError::new(StoreErrorKind::Unsupported, advice).with_source(error)
    })
}

/// Where the database is, without the password.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("the database `{database}` at `{}`", socket.display()),
        None => {
            let (host, port) = (options.get_host(), options.get_port());
            format!("the database `{database}` at `{host}:{port}`")
        }
    }
}

/// Whoever switches the cache off has a reason: statements that vanish.
pub(super) fn remembers_statements(options: &PgConnectOptions) -> bool {
    let url = options.to_url_lossy();
    !url.query_pairs().any(|(name, value)| name == "statement-cache-capacity" && value == "0")
}
