//! Rows of `oncely_records`, read and understood.

use std::str::FromStr;

use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use super::super::columns::Columns;
use super::super::failure::Failure;
use crate::store::record::Record;

/// The columns that [`decode`] reads. The server describes each column of an answer each time, at more
/// cost than what is in it: so all that is short comes as one text.
macro_rules! columns {
    () => {
        "concat_ws(',', token, hex(attempt_id), state, attempt, on_interrupted, \
             ifnull(hex(fingerprint), '-'), expires_at, ifnull(completed_at, '-'), \
             ifnull(outcome_code, '-')), outcome"
    };
}
pub(super) use columns;

/// The record in a row, from its column `first` on.
pub(super) fn decode(row: &MySqlRow, first: usize) -> Result<Record, Failure> {
    let text: &str = row.try_get(first)?;
    let mut parts = Parts(text.split(','));
    let (attempt_id, fingerprint);
    let columns = Columns {
        token: parts.number()?,
        attempt_id: {
            attempt_id = parts.bytes()?;
            attempt_id.as_deref().unwrap_or_default()
        },
        state: parts.number()?,
        attempt: parts.number()?,
        on_interrupted: parts.number()?,
        fingerprint: {
            fingerprint = parts.bytes()?;
            fingerprint.as_deref()
        },
        expires_at: parts.number()?,
        completed_at: parts.number_if_any()?,
        outcome_code: parts.number_if_any()?,
        outcome: row.try_get(first + 1)?,
    };
    columns.record().map_err(Failure::Corrupt)
}

/// What is left of the text.
struct Parts<'row>(std::str::Split<'row, char>);

impl Parts<'_> {
    /// The next part, unless there is a dash.
    fn next<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Failure> {
        match self.0.next() {
            Some("-") => Ok(None),
            part => match part.and_then(read) {
                Some(value) => Ok(Some(value)),
                None => Err(Failure::Corrupt("a row is not what was asked for".to_owned())),
            },
        }
    }

    fn number(&mut self) -> Result<i64, Failure> {
        let number = self.number_if_any()?;
        number.ok_or_else(|| Failure::Corrupt("a number is missing in a row".to_owned()))
    }

    fn number_if_any(&mut self) -> Result<Option<i64>, Failure> {
        self.next(|part| i64::from_str(part).ok())
    }

    /// From hexadecimal digits.
    fn bytes(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        self.next(|part| {
            let digits = part.as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            digits.map(byte).collect()
        })
    }
}
