//! Rows of `oncely_records`, read and understood.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::super::record::{Row, State, TOKEN_LIMIT};
use super::error::Failure;
use crate::store::{AttemptId, Fingerprint, Key, OnInterrupted, StoredOutcome, Token};

/// The columns that [`decode`] reads, in its order; the key comes first.
macro_rules! columns {
    () => {
        "key, token, attempt_id, state, attempt, on_interrupted, fingerprint, expires_at, \
         completed_at, outcome_code, outcome"
    };
}

/// The row of one key.
pub(super) async fn load(
    connection: &mut SqliteConnection,
    key: &Key,
) -> Result<Option<Row>, Failure> {
    let row = sqlx::query(concat!("select ", columns!(), " from oncely_records where key = ?"))
        .bind(key.as_str().as_bytes())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// The rows of several keys, at one moment and in the order of the keys.
pub(super) async fn load_all(
    connection: &mut SqliteConnection,
    keys: &[&Key],
) -> Result<Vec<Option<Row>>, Failure> {
    if let [key] = keys {
        return Ok(vec![load(connection, key).await?]);
    }
    let marks = vec!["?"; keys.len()].join(", ");
    let sql =
        format!(concat!("select ", columns!(), " from oncely_records where key in ({})"), marks);
    // Only question marks were put into the text.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for key in keys {
        query = query.bind(key.as_str().as_bytes());
    }
    let mut rows = HashMap::with_capacity(keys.len());
    for row in query.fetch_all(connection).await? {
        rows.insert(row.try_get::<Vec<u8>, _>(0)?, decode(&row)?);
    }
    Ok(keys.iter().map(|key| rows.remove(key.as_str().as_bytes())).collect())
}

fn decode(row: &SqliteRow) -> Result<Row, Failure> {
    Ok(Row {
        token: token(row.try_get(1)?)?,
        attempt_id: attempt_id(row.try_get(2)?)?,
        attempt: within(row.try_get(4)?, "attempt")?,
        on_interrupted: on_interrupted(row.try_get(5)?)?,
        fingerprint: row.try_get::<Option<&[u8]>, _>(6)?.map(fingerprint).transpose()?,
        expires_at: row.try_get(7)?,
        state: state(row)?,
    })
}

fn state(row: &SqliteRow) -> Result<State, Failure> {
    match row.try_get(3)? {
        State::IN_PROGRESS => Ok(State::InProgress),
        State::COMPLETED => {
            Ok(State::Completed { outcome: outcome(row)?, at: completion(row, 8)? })
        }
        State::INTERRUPTED => Ok(State::Interrupted),
        State::FREE => Ok(State::Free),
        unknown => Err(Failure::Corrupt(format!("there is no state {unknown}"))),
    }
}

fn outcome(row: &SqliteRow) -> Result<StoredOutcome, Failure> {
    // A code of a later release is foreign and not corrupt: the record is whole.
    let code = u8::try_from(completion(row, 9)?).unwrap_or(u8::MAX);
    let payload: Option<&[u8]> = row.try_get(10)?;
    match (StoredOutcome::from_parts(code, payload.unwrap_or_default()), payload) {
        (StoredOutcome::Value(_) | StoredOutcome::Error(_), None) => {
            Err(Failure::Corrupt("a completed record has no outcome".to_owned()))
        }
        (outcome, _) => Ok(outcome),
    }
}

/// A number that only a completed record has. The driver reads null as zero, unless it is asked.
fn completion(row: &SqliteRow, index: usize) -> Result<i64, Failure> {
    let number: Option<i64> = row.try_get(index)?;
    number.ok_or_else(|| Failure::Corrupt("a completed record is incomplete".to_owned()))
}

fn token(value: i64) -> Result<Token, Failure> {
    if value >= TOKEN_LIMIT {
        return Err(Failure::Corrupt(format!("{value} is too large for a token")));
    }
    Ok(Token::new(within(value, "token")?))
}

fn attempt_id(bytes: &[u8]) -> Result<AttemptId, Failure> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| {
        Failure::Corrupt(format!("an attempt id has 16 bytes, not {}", bytes.len()))
    })?;
    Ok(AttemptId::from_bytes(bytes))
}

fn fingerprint(bytes: &[u8]) -> Result<Fingerprint, Failure> {
    Fingerprint::from_bytes(bytes).ok_or_else(|| {
        let length = Fingerprint::BYTES;
        Failure::Corrupt(format!("a fingerprint has {length} bytes, not {}", bytes.len()))
    })
}

fn on_interrupted(value: i64) -> Result<OnInterrupted, Failure> {
    match value {
        0 => Ok(OnInterrupted::Rerun),
        1 => Ok(OnInterrupted::Hold),
        unknown => Err(Failure::Corrupt(format!("there is no choice {unknown} for interruptions"))),
    }
}

/// The number by which [`on_interrupted`] tells the choices apart.
pub(super) fn on_interrupted_code(choice: OnInterrupted) -> i64 {
    match choice {
        OnInterrupted::Rerun => 0,
        OnInterrupted::Hold => 1,
    }
}

fn within<T: TryFrom<i64>>(value: i64, column: &str) -> Result<T, Failure> {
    T::try_from(value).map_err(|_| Failure::Corrupt(format!("{value} is no {column}")))
}
