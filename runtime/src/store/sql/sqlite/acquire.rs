//! Taking keys: a look without the lock, then all of them or none.

use sqlx::SqliteConnection;

use super::super::record::{Row, Standing, State, TOKEN_LIMIT};
use super::error::Failure;
use super::row;
use crate::store::clock::{Clock, millis};
use crate::store::{Acquired, Key, Lease, LeaseRequest, Occupant, RecordState, Token};

/// The first occupied key, if there is one. Takes no lock, so that replays and busy answers run
/// beside each other and beside the writer.
pub(super) async fn look(
    connection: &mut SqliteConnection,
    requests: &[LeaseRequest],
    clock: &Clock,
) -> Result<Option<Occupant>, Failure> {
    let rows = row::load_all(connection, &keys(requests)).await?;
    Ok(decide(requests, &rows, clock.now()).err())
}

/// Takes every key, or none. Inside a transaction that holds the write lock, and that must be
/// rolled back if this fails.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    requests: &[LeaseRequest],
    now: i64,
) -> Result<Acquired, Failure> {
    let rows = row::load_all(connection, &keys(requests)).await?;
    let grants = match decide(requests, &rows, now) {
        Ok(grants) => grants,
        Err(occupant) => return Ok(Acquired::Occupied(occupant)),
    };
    let mut token = draw_tokens(connection, &rows, &grants).await?;
    let mut leases = Vec::with_capacity(requests.len());
    for (request, grant) in requests.iter().zip(grants) {
        let lease = match grant {
            Grant::Again(row) => extend(connection, request, row, now).await?,
            Grant::New { attempt } => {
                token += 1;
                insert(connection, request, token - 1, attempt, now).await?
            }
        };
        leases.push(lease);
    }
    Ok(Acquired::Leases(leases))
}

/// What a request gets.
#[derive(Clone, Copy, Debug)]
enum Grant<'row> {
    /// A new lease, as this attempt.
    New { attempt: u32 },
    /// The lease it has.
    Again(&'row Row),
}

fn keys(requests: &[LeaseRequest]) -> Vec<&Key> {
    requests.iter().map(|request| &request.key).collect()
}

/// What each request gets, or the first occupied key in the order of the requests.
fn decide<'row>(
    requests: &[LeaseRequest],
    rows: &'row [Option<Row>],
    now: i64,
) -> Result<Vec<Grant<'row>>, Occupant> {
    let decide_one = |(request, row): (&LeaseRequest, &'row Option<Row>)| {
        let Some(row) = row else { return Ok(Grant::New { attempt: 1 }) };
        match row.standing(request, now) {
            Standing::Free { attempt } => Ok(Grant::New { attempt }),
            Standing::Own => Ok(Grant::Again(row)),
            Standing::Occupied(state) => Err(occupant(request, row, state)),
        }
    };
    requests.iter().zip(rows).map(decide_one).collect()
}

fn occupant(request: &LeaseRequest, row: &Row, state: RecordState) -> Occupant {
    Occupant::new(request.key.clone(), row.token, row.fingerprint, state)
}

/// The first of as many tokens as there are new leases, above every token drawn before.
async fn draw_tokens(
    connection: &mut SqliteConnection,
    rows: &[Option<Row>],
    grants: &[Grant<'_>],
) -> Result<i64, Failure> {
    let new = grants.iter().filter(|grant| matches!(grant, Grant::New { .. })).count();
    let Ok(new @ 1..) = i64::try_from(new) else { return Ok(0) };
    // The counter is never behind a record unless someone edited it; then the record is right.
    let highest = rows.iter().flatten().map(|row| row.token.value()).max().unwrap_or(0);
    let last: Option<i64> = sqlx::query_scalar(
        "update oncely_meta set value = max(value, ?) + ? \
         where name = 'last_token' and typeof(value) = 'integer' and value >= 0 returning value",
    )
    .bind(i64::try_from(highest).unwrap_or(i64::MAX))
    .bind(new)
    .fetch_optional(connection)
    .await?;
    match last {
        Some(last) if last >= new && last < TOKEN_LIMIT => Ok(last - new + 1),
        Some(last) => Err(Failure::Corrupt(format!("the token counter cannot go to {last}"))),
        None => Err(Failure::Corrupt("the token counter is missing or no count".to_owned())),
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    request: &LeaseRequest,
    token: i64,
    attempt: u32,
    now: i64,
) -> Result<Lease, Failure> {
    let expires_at = now.saturating_add(millis(request.lease));
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
    .bind(request.key.as_str().as_bytes())
    .bind(token)
    .bind(request.attempt_id.as_bytes().as_slice())
    .bind(State::IN_PROGRESS)
    .bind(i64::from(attempt))
    .bind(row::on_interrupted_code(request.on_interrupted))
    .bind(request.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
    .bind(expires_at)
    .bind(Row::abandoned_at(request.on_interrupted, expires_at))
    .execute(connection)
    .await?;
    Ok(Lease::new(request.key.clone(), Token::new(token.unsigned_abs()), attempt))
}

/// The same lease again, for its whole length from now.
async fn extend(
    connection: &mut SqliteConnection,
    request: &LeaseRequest,
    row: &Row,
    now: i64,
) -> Result<Lease, Failure> {
    let lease = Lease::new(request.key.clone(), row.token, row.attempt);
    super::update::renew(connection, &lease, row.on_interrupted, request.lease, now).await?;
    Ok(lease)
}
