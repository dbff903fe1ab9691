//! Deleting what nobody needs any more, beside the writes and never for its own sake.

use sqlx::SqliteConnection;

use super::error::Failure;

/// How many rows one purge deletes at once, so that nobody waits long behind it.
pub(super) const BATCH: u64 = 500;
/// Deletes at most [`BATCH`] rows and says how many.
pub(super) async fn batch(connection: &mut SqliteConnection, now: i64) -> Result<u64, Failure> {
    let deleted = sqlx::query(
        "delete from oncely_records where rowid in \
         (select rowid from oncely_records where purge_at <= ? order by purge_at limit 500)",
    )
    .bind(now)
    .execute(connection)
    .await?;
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
