//! Deleting what nobody needs any more, beside the writes and never for its own sake.

use sqlx::{Connection as _, SqliteConnection};

use super::error::Failure;

/// How many rows one purge deletes at once, so that nobody waits long behind it.
pub(super) const BATCH: u64 = 500;

/// Which rows those are.
macro_rules! old {
    () => {
        " from oncely_records where rowid in \
         (select rowid from oncely_records where purge_at <= ? order by purge_at limit 500)"
    };
}

/// The tokens of a deleted record's key go on from there. What is no token is left out.
const RAISE: &str = concat!(
    "update oncely_meta set value = max(value, (select ifnull(max(token), 0)",
    old!(),
    " and typeof(token) = 'integer' and token < 9007199254740992)) where name = 'token_floor'"
);

/// Deletes at most [`BATCH`] rows and says how many.
pub(super) async fn batch(connection: &mut SqliteConnection, now: i64) -> Result<u64, Failure> {
    let mut transaction = connection.begin().await?;
    sqlx::query(RAISE).bind(now).execute(&mut *transaction).await?;
    let deleted =
        sqlx::query(concat!("delete", old!())).bind(now).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(deleted.rows_affected())
}

/// Deletes every row that is due and says how many.
#[cfg(feature = "testing")]
pub(super) async fn all(connection: &mut SqliteConnection, now: i64) -> Result<u64, Failure> {
    let mut total = 0;
    loop {
        let deleted = batch(connection, now).await?;
        total += deleted;
        if deleted < BATCH {
            return Ok(total);
        }
    }
}
