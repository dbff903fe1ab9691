//! Rows of `oncely_records`, read and understood.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::super::columns::Columns;
use super::super::failure::Failure;
use crate::store::record::Record;

/// The columns that [`decode`] reads, in its order.
macro_rules! columns {
    ($table:literal) => {
        concat!(
            $table,
            ".token, ",
            $table,
            ".attempt_id, ",
            $table,
            ".state, ",
            $table,
            ".attempt, ",
            $table,
            ".on_interrupted, ",
            $table,
            ".fingerprint, ",
            $table,
            ".expires_at, ",
            $table,
            ".completed_at, ",
            $table,
            ".outcome_code, ",
            $table,
            ".outcome"
        )
    };
}
pub(super) use columns;

/// The same columns as one value, for what is asked only now and then: every column of an answer
/// costs something, also where there is nothing in it.
macro_rules! whole {
    ($table:literal) => {
        concat!(
            "row(",
            $table,
            ".token, ",
            $table,
            ".attempt_id, ",
            $table,
            ".state, ",
            $table,
            ".attempt, ",
            $table,
            ".on_interrupted, ",
            $table,
            ".fingerprint, ",
            $table,
            ".expires_at, row(",
            $table,
            ".completed_at, ",
            $table,
            ".outcome_code, ",
            $table,
            ".outcome))"
        )
    };
}
pub(super) use whole;

/// What [`whole`] gives.
pub(super) type Whole = (
    i64,
    Vec<u8>,
    i16,
    i64,
    i16,
    Option<Vec<u8>>,
    i64,
    (Option<i64>, Option<i16>, Option<Vec<u8>>),
);

/// The record in a value.
pub(super) fn record(whole: &Whole) -> Result<Record, Failure> {
    let (token, attempt_id, state, attempt, on_interrupted, fingerprint, expires_at, end) = whole;
    let (completed_at, outcome_code, outcome) = end;
    let columns = Columns {
        token: *token,
        attempt_id,
        state: i64::from(*state),
        attempt: *attempt,
        on_interrupted: i64::from(*on_interrupted),
        fingerprint: fingerprint.as_deref(),
        expires_at: *expires_at,
        completed_at: *completed_at,
        outcome_code: outcome_code.map(i64::from),
        outcome: outcome.as_deref(),
    };
    columns.record().map_err(Failure::Corrupt)
}

/// The milliseconds of a time that the server sent as its own type: that spares it five functions.
pub(super) fn millis(row: &PgRow, column: usize) -> Result<i64, Failure> {
    /// From 1970 to 2000, in microseconds: the server counts from there.
    const EPOCH: i64 = 946_684_800_000_000;
    let value = row.try_get_raw(column)?;
    let bytes = value.as_bytes().map_err(sqlx::Error::Decode)?;
    let micros: [u8; 8] = bytes
        .try_into()
        .map_err(|_| Failure::Corrupt("the server's time cannot be understood".to_owned()))?;
    Ok((i64::from_be_bytes(micros) + EPOCH).div_euclid(1000))
}

/// The record in a row, from its column `first` on; none if it has none.
pub(super) fn decode(row: &PgRow, first: usize) -> Result<Option<Record>, Failure> {
    let Some(token) = row.try_get(first)? else { return Ok(None) };
    let columns = Columns {
        token,
        attempt_id: row.try_get(first + 1)?,
        state: row.try_get::<i16, _>(first + 2)?.into(),
        attempt: row.try_get(first + 3)?,
        on_interrupted: row.try_get::<i16, _>(first + 4)?.into(),
        fingerprint: row.try_get(first + 5)?,
        expires_at: row.try_get(first + 6)?,
        completed_at: row.try_get(first + 7)?,
        outcome_code: row.try_get::<Option<i16>, _>(first + 8)?.map(i64::from),
        outcome: row.try_get(first + 9)?,
    };
    columns.record().map(Some).map_err(Failure::Corrupt)
}
