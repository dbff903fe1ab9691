//! Rows of `oncely_records`, read and understood.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::super::columns::{Columns, code, column, on_interrupted_code};
use super::error::Failure;
use crate::store::record::{Record, State};
use crate::store::{Key, StoredOutcome};

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

fn decode(row: &SqliteRow) -> Result<Record, Failure> {
    let columns = Columns {
        token: row.try_get(1)?,
        attempt_id: row.try_get(2)?,
        state: row.try_get(3)?,
        attempt: row.try_get(4)?,
        on_interrupted: row.try_get(5)?,
        fingerprint: row.try_get(6)?,
        expires_at: row.try_get(7)?,
        // The driver reads null as zero, unless it is asked.
        completed_at: row.try_get(8)?,
        outcome_code: row.try_get(9)?,
        outcome: row.try_get(10)?,
    };
    columns.record().map_err(Failure::Corrupt)
}
