//! Deleting what nobody needs any more, beside the writes and never for its own sake.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sqlx::SqliteConnection;

use super::error::Failure;

/// How many rows one write transaction deletes, so that nobody waits long behind it.
pub(super) const BATCH: u64 = 500;
/// How long between purges of a store that writes little.
const EVERY: Duration = Duration::from_secs(60);
/// How many writes between purges of a store that writes much.
const EVERY_WRITES: u32 = 1000;

/// When the next purge is due. Only writes ask, so an idle store does nothing.
#[derive(Debug)]
pub(super) struct Schedule {
    last: Mutex<(Instant, u32)>,
}

impl Schedule {
    /// The first purge is due soon after the start: what gathered while nobody ran goes first.
    pub(super) fn new() -> Self {
        Self { last: Mutex::new((Instant::now(), EVERY_WRITES - 10)) }
    }

    /// Counts a write; true if a purge is due, and then not again for a while.
    pub(super) fn due(&self) -> bool {
        let mut last = self.last.lock();
        last.1 = last.1.saturating_add(1);
        let due = last.1 >= EVERY_WRITES || last.0.elapsed() >= EVERY;
        if due {
            *last = (Instant::now(), 0);
        }
        due
    }
}

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
