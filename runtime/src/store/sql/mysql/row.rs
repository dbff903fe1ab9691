//! Rows of `oncely_records`, read and understood.

use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use super::super::columns::Columns;
use super::super::failure::Failure;
use crate::store::record::Record;

/// The columns that [`decode`] reads, after what each question asks for itself. Nothing that may be
/// empty comes first.
macro_rules! columns {
    () => {
        "token, attempt_id, state, attempt, on_interrupted, fingerprint, expires_at, completed_at, \
         outcome_code, outcome"
    };
}
pub(super) use columns;

/// The record in a row, from its column `first` on.
pub(super) fn decode(row: &MySqlRow, first: usize) -> Result<Record, Failure> {
    let columns = Columns {
        token: row.try_get(first)?,
        attempt_id: row.try_get(first + 1)?,
        state: row.try_get::<i8, _>(first + 2)?.into(),
        attempt: row.try_get(first + 3)?,
        on_interrupted: row.try_get::<i8, _>(first + 4)?.into(),
        fingerprint: row.try_get(first + 5)?,
        expires_at: row.try_get(first + 6)?,
        completed_at: row.try_get(first + 7)?,
        outcome_code: row.try_get::<Option<i16>, _>(first + 8)?.map(i64::from),
        outcome: row.try_get(first + 9)?,
    };
    columns.record().map_err(Failure::Corrupt)
}
