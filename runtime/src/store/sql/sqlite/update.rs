//! Renewing, completing and giving back: each write says whose record it is.

use std::time::Duration;

use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteQueryResult;

use super::super::record::{Effect, Row, State, TOMBSTONE};
use super::error::Failure;
use super::row;
use crate::store::clock::millis;
use crate::store::{Lease, OnInterrupted, StoredOutcome, Update, Updated};

/// Applies the updates in their order. Inside a transaction that holds the write lock, and that
/// must be rolled back if this fails.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    updates: &[(Lease, Update)],
    now: i64,
) -> Result<Vec<Updated>, Failure> {
    let mut answers = Vec::with_capacity(updates.len());
    for (lease, update) in updates {
        answers.push(apply_one(connection, lease, update, now).await?);
    }
    Ok(answers)
}

async fn apply_one(
    connection: &mut SqliteConnection,
    lease: &Lease,
    update: &Update,
    now: i64,
) -> Result<Updated, Failure> {
    let Some(row) = row::load(connection, &lease.key).await? else { return Ok(Updated::Lost) };
    match row.effect(lease.token, update) {
        Effect::Stands => return Ok(Updated::Applied),
        Effect::Lost => return Ok(Updated::Lost),
        Effect::Applies => {}
    }
    let written = match update {
        Update::Renew { lease: length } => {
            renew(connection, lease, row.on_interrupted, *length, now).await?
        }
        Update::Complete { outcome, retention } => {
            complete(connection, lease, outcome, *retention, now).await?
        }
        Update::Release => {
            let purge_at = Some(now.saturating_add(millis(TOMBSTONE)));
            give_back(connection, lease, State::FREE, purge_at).await?
        }
        Update::Interrupt => {
            let purge_at = Row::abandoned_at(row.on_interrupted, now);
            give_back(connection, lease, State::INTERRUPTED, purge_at).await?
        }
    };
    // Nobody else can have written since the row was read; the writes do not rely on it.
    Ok(if written.rows_affected() == 1 { Updated::Applied } else { Updated::Lost })
}

/// Holds the key for `length` from now, expired or not (law *successor-only*).
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    lease: &Lease,
    on_interrupted: OnInterrupted,
    length: Duration,
    now: i64,
) -> Result<SqliteQueryResult, Failure> {
    let expires_at = now.saturating_add(millis(length));
    let written = sqlx::query(
        "update oncely_records set expires_at = ?, purge_at = ? \
         where key = ? and token = ? and state = 0",
    )
    .bind(expires_at)
    .bind(Row::abandoned_at(on_interrupted, expires_at))
    .bind(lease.key.as_str().as_bytes())
    .bind(token(lease))
    .execute(connection)
    .await?;
    Ok(written)
}

async fn complete(
    connection: &mut SqliteConnection,
    lease: &Lease,
    outcome: &StoredOutcome,
    retention: Duration,
    now: i64,
) -> Result<SqliteQueryResult, Failure> {
    let expires_at = now.saturating_add(millis(retention));
    let written = sqlx::query(
        "update oncely_records set state = ?, completed_at = ?, outcome_code = ?, outcome = ?, \
         expires_at = ?, purge_at = ? where key = ? and token = ? and state = 0",
    )
    .bind(State::COMPLETED)
    .bind(now)
    .bind(i64::from(outcome.code()))
    .bind(outcome.payload())
    .bind(expires_at)
    .bind(expires_at)
    .bind(lease.key.as_str().as_bytes())
    .bind(token(lease))
    .execute(connection)
    .await?;
    Ok(written)
}

async fn give_back(
    connection: &mut SqliteConnection,
    lease: &Lease,
    state: i64,
    purge_at: Option<i64>,
) -> Result<SqliteQueryResult, Failure> {
    let written = sqlx::query(
        "update oncely_records set state = ?, purge_at = ? \
         where key = ? and token = ? and state = 0",
    )
    .bind(state)
    .bind(purge_at)
    .bind(lease.key.as_str().as_bytes())
    .bind(token(lease))
    .execute(connection)
    .await?;
    Ok(written)
}

/// The token as the column holds it. One that no column can hold matches no record.
fn token(lease: &Lease) -> i64 {
    i64::try_from(lease.token.value()).unwrap_or(-1)
}
