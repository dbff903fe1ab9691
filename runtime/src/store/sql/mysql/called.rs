//! A call's claim and outcome in a transaction of the caller's, where an insert gives what is there
//! after it: one statement each, which the server has prepared under a [name](super::named).

use sqlx::MySqlConnection;

use super::super::columns::{self, on_interrupted_code};
use super::super::failure::{Failure, Meaning};
use super::super::joins::{Claim, DatabaseId};
use super::super::name;
use super::super::rules::{self, Instant};
use super::acquire::{keep, write};
use super::named::{Named, here};
use super::one::{NO_FLOOR, SLACK};
use super::row::{Met, found, met, short};
use super::text::{Text, Value, number};
use super::{IDENTITY, MYSQL, clock};
use crate::store::record::{ABANDONED, millis};
use crate::store::{Lease, LeaseRequest, StoredOutcome};

/// Writes the record if there is none, and gives the one that is there then. It waits for another
/// transaction's at the row itself, for a second at most: the server has no shorter time, and the end
/// of it undoes only the statement. The floor is read as it is now, not as the caller's transaction
/// sees the world, and stays as it is until that ends: a purge seldom wants it.
const CLAIM: Named = Named::new(
    "oncely_claim_1",
    concat!(
        "set statement innodb_lock_wait_timeout = 1 for \
         insert into oncely_records (`key`, token, attempt_id, attempt, on_interrupted, fingerprint, \
             expires_at, purge_at, state) \
         select ?, greatest(",
        clock!(),
        ", f.value + 32), ?, 1, ?, ?, ",
        clock!(),
        " div 1000 + ?, ",
        clock!(),
        " div 1000 + ?, 0 from oncely_meta f where f.name = 'token_floor' and ? = ",
        here!(),
        " on duplicate key update token = oncely_records.token returning ",
        found!(),
    ),
);

/// Writes the outcome. A record that is kept long enough as it is keeps its place in the index of what
/// is to be purged.
const COMPLETE: Named = Named::new(
    "oncely_complete_1",
    concat!(
        "update oncely_records set completed_at = ",
        clock!(),
        " div 1000, outcome_code = ?, outcome = ?, expires_at = ",
        clock!(),
        " div 1000 + ?, purge_at = if(? and purge_at > ",
        clock!(),
        " div 1000 + ?, purge_at, ",
        clock!(),
        " div 1000 + ?), state = 1 where `key` = ? and token = ? and state = 0"
    ),
);

/// As it is now, see [`CLAIM`].
const FLOOR: &str = "select value from oncely_meta where name = 'token_floor' lock in share mode";

/// Takes the key of a call whose outcome is to be kept so many milliseconds.
pub(super) async fn claim(
    connection: &mut MySqlConnection,
    home: DatabaseId,
    request: &LeaseRequest,
    retention: i64,
) -> Result<Claim, Failure> {
    let kept = if is_long(retention) { retention.saturating_add(SLACK) } else { 0 };
    let key = name::column(&request.key);
    let fingerprint = request.fingerprint.map(|print| print.to_bytes());
    let attempt_id = Value::from(request.attempt_id.as_bytes());
    let lease = rules::length(request.lease).into();
    let values = [
        Value::from(&key),
        attempt_id,
        on_interrupted_code(request.on_interrupted).into(),
        fingerprint.as_ref().into(),
        lease,
        keep(request).map(|keep| keep.max(kept)).into(),
        Value::Database,
        attempt_id,
        lease,
    ];
    let answer = match CLAIM.send(connection, home, &values).await {
        Ok(answer) => answer,
        Err(failure) if failure.meaning() == Meaning::Blocked => return Ok(Claim::Hidden),
        Err(failure) => return Err(failure),
    };
    let Some(row) = answer.rows.first() else {
        home.check(MYSQL, number(connection, IDENTITY).await?)?;
        return Err(Failure::Corrupt(NO_FLOOR.to_owned()));
    };
    let (micros, record) = match met(row)? {
        Met::Taken(token) => return Ok(Claim::Granted(Lease::new(request.key.clone(), token, 1))),
        Met::There { micros, record } => (micros, record),
    };
    if let Some(occupant) = rules::occupant(Some(&record), request, micros.div_euclid(1000)) {
        return Ok(Claim::Occupied(occupant));
    }
    // The row is locked, whatever it says.
    let now = Instant { micros, floor: number(connection, FLOOR).await? };
    let records = [Some(record)];
    let granted = rules::grant(std::slice::from_ref(request), &records, now);
    let taken = match granted.map_err(Failure::Corrupt)? {
        Ok(granted) => granted.into_iter().next().ok_or(Failure::Raced)?,
        Err(occupant) => return Ok(Claim::Occupied(occupant)),
    };
    let mut text = Text::default();
    write(&mut text, request, &taken, true);
    text.send(connection).await?;
    Ok(Claim::Granted(taken.lease(&request.key)))
}

/// Whether the record was the lease's, and has the outcome now.
pub(super) async fn complete(
    connection: &mut MySqlConnection,
    home: DatabaseId,
    lease: &Lease,
    outcome: &StoredOutcome,
    retention: i64,
) -> Result<bool, Failure> {
    let retained = Value::from(retention);
    let key = name::column(&lease.key);
    let values = [
        i64::from(outcome.code()).into(),
        outcome.payload().into(),
        retained,
        i64::from(is_long(retention)).into(),
        retained,
        retained,
        Value::from(&key),
        columns::column(lease.token).into(),
    ];
    let answer = COMPLETE.send(connection, home, &values).await?;
    Ok(answer.changed.last() == Some(&1))
}

/// Whether outcomes are kept longer than claims that nobody is heard of again.
fn is_long(retention: i64) -> bool {
    retention >= millis(ABANDONED)
}
