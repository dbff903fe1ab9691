//! Transactions that were dropped in the middle of something.

use std::mem;
use std::time::Duration;

use sqlx::{ConnectOptions as _, Executor as _, MySqlConnection, MySqlPool, Transaction};
use tokio::time::sleep;

/// How often a connection is opened to put in the place of another.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Closes the connection of a transaction, which rolls it back.
///
/// The driver cannot tell what is on its way when a statement is dropped while the server prepares it
/// (<https://github.com/launchbadge/sqlx/issues/563>): the connection would go back to its pool with
/// answers that belong to nobody, and give them to the next who asks. Nor can a transaction be told to
/// close its connection. So it gets another one, on which its pool finds nobody at the other end.
pub(in super::super) async fn abandon(pool: MySqlPool, mut tx: Transaction<'static, sqlx::MySql>) {
    for _ in 0..TRIES {
        match closed(&pool).await {
            Ok(closed) => {
                drop(mem::replace(&mut *tx, closed));
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "a connection that was dropped half-way is not closed yet");
                sleep(PAUSE).await;
            }
        }
    }
}

/// A connection that the server has closed.
async fn closed(pool: &MySqlPool) -> Result<MySqlConnection, sqlx::Error> {
    let mut connection = pool.connect_options().connect().await?;
    // Answered by the end of the connection.
    let _ = connection.execute(sqlx::raw_sql("kill connection_id()")).await;
    Ok(connection)
}
