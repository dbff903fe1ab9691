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
            ".state::int8, ",
            $table,
            ".attempt, ",
            $table,
            ".on_interrupted::int8, ",
            $table,
            ".fingerprint, ",
            $table,
            ".expires_at, ",
            $table,
            ".completed_at, ",
            $table,
            ".outcome_code::int8, ",
            $table,
            ".outcome"
        )
    };
}
pub(super) use columns;

/// The record in a row, from its column `first` on; none if it has none.
pub(super) fn decode(row: &PgRow, first: usize) -> Result<Option<Record>, Failure> {
    let Some(token) = row.try_get(first)? else { return Ok(None) };
    let columns = Columns {
        token,
        attempt_id: row.try_get(first + 1)?,
        state: row.try_get(first + 2)?,
        attempt: row.try_get(first + 3)?,
        on_interrupted: row.try_get(first + 4)?,
        fingerprint: row.try_get(first + 5)?,
        expires_at: row.try_get(first + 6)?,
        completed_at: row.try_get(first + 7)?,
        outcome_code: row.try_get(first + 8)?,
        outcome: row.try_get(first + 9)?,
    };
    columns.record().map(Some).map_err(Failure::Corrupt)
}
