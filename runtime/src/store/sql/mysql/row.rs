//! Rows of `oncely_records`, read and understood.

use std::str::FromStr;

use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use super::super::columns::{Columns, token};
use super::super::failure::Failure;
use crate::store::Token;
use crate::store::record::Record;

/// What is short in a record, for one text: the server describes each column of an answer each time, at
/// more cost than what is in it.
macro_rules! short {
    () => {
        "token, hex(attempt_id), state, attempt, on_interrupted, ifnull(hex(fingerprint), '-'), \
         expires_at, ifnull(completed_at, '-'), ifnull(outcome_code, '-')"
    };
}
pub(super) use short;

/// The columns that [`decode`] reads.
macro_rules! columns {
    () => {
        concat!("concat_ws(',', ", short!(), "), outcome")
    };
}
pub(super) use columns;

/// The columns that [`met`] reads after a look.
macro_rules! seen {
    () => {
        concat!("concat_ws(',', ", clock!(), ", ", short!(), "), outcome")
    };
}
pub(super) use seen;

/// The columns that [`met`] reads after a claim, whose attempt and length they ask for. A record that
/// was just written is told by its token alone. One of an earlier copy of the request may end sooner
/// than this one asks for, and is not that.
macro_rules! found {
    () => {
        concat!(
            "if(state = 0 and attempt = 1 and attempt_id = ? and expires_at >= ",
            clock!(),
            " div 1000 + ?, token, concat_ws(',', ",
            clock!(),
            ", ",
            short!(),
            ")), outcome"
        )
    };
}
pub(super) use found;

/// What a statement met.
#[derive(Debug)]
pub(super) enum Met {
    /// Nothing: the record is the one that it has written, under this token.
    Taken(Token),
    /// A record, at this time of the server's clock.
    There { micros: i64, record: Record },
}

/// What is in a row of such columns.
pub(super) fn met(row: &MySqlRow) -> Result<Met, Failure> {
    let text: &str = row.try_get(0)?;
    let Some((clock, short)) = text.split_once(',') else {
        return token(Parts(text.split(',')).number()?).map(Met::Taken).map_err(Failure::Corrupt);
    };
    let micros = Parts(clock.split(',')).number()?;
    Ok(Met::There { micros, record: record(short, row.try_get(1)?)? })
}

/// The record in a row, from its column `first` on.
pub(super) fn decode(row: &MySqlRow, first: usize) -> Result<Record, Failure> {
    record(row.try_get(first)?, row.try_get(first + 1)?)
}

/// The record that these columns hold.
pub(super) fn record(text: &str, outcome: Option<&[u8]>) -> Result<Record, Failure> {
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
        outcome,
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
            let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16)?).ok();
            let pairs = part.as_bytes().chunks(2).map(|pair| match *pair {
                [high, low] => Some(digit(high)? << 4 | digit(low)?),
                _ => None,
            });
            pairs.collect()
        })
    }
}
