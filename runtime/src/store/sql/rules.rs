//! From the rules of records to what a database writes.

use std::time::Duration;

use super::columns::TOKEN_LIMIT;
use crate::store::record::{self, Record, SPARE_TOKENS, Standing};
use crate::store::{LeaseRequest, Occupant, Token, Update, Updated};

/// Longer than any database will stand, and short enough to add to any time of it.
const LONGEST: i64 = 1 << 60;
/// From one token of a key to the next; the statements that take a free key at once have it too.
pub(super) const STRIDE: i64 = SPARE_TOKENS.cast_signed() + 1;

/// A moment by the database's clock, and the highest token of what was deleted before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instant {
    pub(super) micros: i64,
    /// The row may have been deleted by somebody.
    pub(super) floor: Option<i64>,
}

impl Instant {
    /// Milliseconds, as records have them.
    pub(super) fn now(self) -> i64 {
        millis(self.micros)
    }

    /// A token above that of `record`, above those of deleted records, and above those that were
    /// given before a crash took the last moments of the database: time outlives it.
    fn token(self, record: Option<&Record>) -> Result<Token, String> {
        let floor = self.floor.ok_or("the floor of the tokens is missing")?;
        let before = record.map_or(0, |record| record.token.value().cast_signed());
        let token =
            self.micros.max(floor.saturating_add(STRIDE)).max(before.saturating_add(STRIDE));
        if token >= TOKEN_LIMIT {
            return Err(format!("the tokens have come to {token}"));
        }
        Ok(Token::new(token.unsigned_abs()))
    }
}

/// Of so many microseconds, the milliseconds that have passed.
pub(super) fn millis(micros: i64) -> i64 {
    micros.div_euclid(1000)
}

/// The whole milliseconds of a duration.
pub(super) fn length(duration: Duration) -> i64 {
    record::millis(duration).min(LONGEST)
}

/// What an update that changed so many rows came to.
pub(super) fn updated(rows: u64) -> Updated {
    if rows == 1 { Updated::Applied } else { Updated::Lost }
}

/// What an update came to that was sent twice, as nobody heard the first answer. A key that the first
/// gave back may be with its next holder by the second: nothing is lost.
pub(super) fn sent_again(update: &Update, answer: Updated) -> Updated {
    match update {
        Update::Release | Update::Interrupt => Updated::Applied,
        Update::Renew { .. } | Update::Complete { .. } => answer,
    }
}

/// What stands in the way of a request.
pub(super) fn occupant(
    record: Option<&Record>,
    request: &LeaseRequest,
    now: i64,
) -> Option<Occupant> {
    match Record::standing(record, request, now) {
        Standing::Occupied(occupant) => Some(occupant),
        Standing::Free { .. } | Standing::Own(_) => None,
    }
}

/// The record that each request gets, or the first occupied key in the order of the requests.
///
/// # Errors
/// What cannot be understood about the tokens.
pub(super) fn grant(
    requests: &[LeaseRequest],
    records: &[Option<Record>],
    now: Instant,
) -> Result<Result<Vec<Record>, Occupant>, String> {
    let mut granted = Vec::with_capacity(requests.len());
    for (request, record) in requests.iter().zip(records) {
        granted.push(match Record::standing(record.as_ref(), request, now.now()) {
            Standing::Occupied(occupant) => return Ok(Err(occupant)),
            Standing::Own(record) => {
                record.after(&Update::Renew { lease: request.lease }, now.now())
            }
            Standing::Free { attempt, fingerprint } => {
                let token = now.token(record.as_ref())?;
                Record::taken(request, token, attempt, fingerprint, now.now())
            }
        });
    }
    Ok(Ok(granted))
}
