//! Renewing, completing and giving back: each write says whose record it is.

use sqlx::SqliteConnection;

use super::error::Failure;
use super::row;
use crate::store::record::Effect;
use crate::store::{Lease, Update, Updated};

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
    let Some(record) = row::load(connection, &lease.key).await? else { return Ok(Updated::Lost) };
    match record.effect(lease.token, update) {
        Effect::Stands => return Ok(Updated::Applied),
        Effect::Lost => return Ok(Updated::Lost),
        Effect::Applies => {}
    }
    let changed = row::change(connection, &lease.key, &record.after(update, now)).await?;
    // Nobody else can have written since the record was read; the write does not rely on it.
    Ok(if changed { Updated::Applied } else { Updated::Lost })
}
