//! Rows of `oncely_records`, read and understood.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::error::Failure;
use crate::store::record::{Record, State};
use crate::store::{AttemptId, Fingerprint, Key, OnInterrupted, StoredOutcome, Token};

/// The first token that some reader could not hold exactly.
pub(super) const TOKEN_LIMIT: i64 = 1 << 53;

/// The numbers by which the column `state` tells the states apart.
const IN_PROGRESS: i64 = 0;
const COMPLETED: i64 = 1;
const INTERRUPTED: i64 = 2;
const FREE: i64 = 3;

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
) -> Result<Option<Record>, Failure> {
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
) -> Result<Vec<Option<Record>>, Failure> {
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

/// Writes the record of a key, whatever stood there before.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    key: &Key,
    record: &Record,
) -> Result<(), Failure> {
    sqlx::query(
        "insert into oncely_records \
         (key, token, attempt_id, state, attempt, on_interrupted, fingerprint, expires_at, \
         purge_at) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?) \
         on conflict (key) do update set \
         token = excluded.token, attempt_id = excluded.attempt_id, state = excluded.state, \
         attempt = excluded.attempt, on_interrupted = excluded.on_interrupted, \
         fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, \
         purge_at = excluded.purge_at, completed_at = null, outcome_code = null, outcome = null",
    )
    .bind(key.as_str().as_bytes())
    .bind(column(record.token))
    .bind(record.attempt_id.as_bytes().as_slice())
    .bind(code(&record.state))
    .bind(i64::from(record.attempt))
    .bind(on_interrupted_code(record.on_interrupted))
    .bind(record.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
    .bind(record.expires_at)
    .bind(record.purge_at())
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes what changed of a record in progress, if its token still holds it.
pub(super) async fn change(
    connection: &mut SqliteConnection,
    key: &Key,
    record: &Record,
) -> Result<bool, Failure> {
    let (completed_at, outcome) = match &record.state {
        State::Completed { outcome, at } => (Some(*at), Some(outcome)),
        State::InProgress | State::Interrupted | State::Free => (None, None),
    };
    let written = sqlx::query(
        "update oncely_records set state = ?, completed_at = ?, outcome_code = ?, outcome = ?, \
         expires_at = ?, purge_at = ? where key = ? and token = ? and state = 0",
    )
    .bind(code(&record.state))
    .bind(completed_at)
    .bind(outcome.map(|outcome| i64::from(outcome.code())))
    .bind(outcome.map(StoredOutcome::payload))
    .bind(record.expires_at)
    .bind(record.purge_at())
    .bind(key.as_str().as_bytes())
    .bind(column(record.token))
    .execute(connection)
    .await?;
    Ok(written.rows_affected() == 1)
}

/// The token as the column holds it. One that no column can hold matches no record.
fn column(token: Token) -> i64 {
    i64::try_from(token.value()).unwrap_or(-1)
}

fn decode(row: &SqliteRow) -> Result<Record, Failure> {
    Ok(Record {
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
        IN_PROGRESS => Ok(State::InProgress),
        COMPLETED => Ok(State::Completed { outcome: outcome(row)?, at: completion(row, 8)? }),
        INTERRUPTED => Ok(State::Interrupted),
        FREE => Ok(State::Free),
        unknown => Err(Failure::Corrupt(format!("there is no state {unknown}"))),
    }
}

fn code(state: &State) -> i64 {
    match state {
        State::InProgress => IN_PROGRESS,
        State::Completed { .. } => COMPLETED,
        State::Interrupted => INTERRUPTED,
        State::Free => FREE,
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
fn on_interrupted_code(choice: OnInterrupted) -> i64 {
    match choice {
        OnInterrupted::Rerun => 0,
        OnInterrupted::Hold => 1,
    }
}

fn within<T: TryFrom<i64>>(value: i64, column: &str) -> Result<T, Failure> {
    T::try_from(value).map_err(|_| Failure::Corrupt(format!("{value} is no {column}")))
}
