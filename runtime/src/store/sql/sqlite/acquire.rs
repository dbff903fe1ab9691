//! Taking keys: a look without the lock, then all of them or none.

use std::iter::StepBy;
use std::ops::Range;

use sqlx::SqliteConnection;

use super::super::columns::TOKEN_LIMIT;
use super::error::Failure;
use super::row;
use crate::store::clock::Clock;
use crate::store::record::{Record, SPARE_TOKENS, Standing};
use crate::store::{Acquired, Fingerprint, Key, LeaseRequest, Occupant, Token, Update};

/// The first occupied key, if there is one. Takes no lock, so that replays and busy answers run
/// beside each other and beside the writer.
pub(super) async fn look(
    connection: &mut SqliteConnection,
    requests: &[LeaseRequest],
    clock: &Clock,
) -> Result<Option<Occupant>, Failure> {
    let records = row::load_all(connection, &keys(requests)).await?;
    Ok(decide(requests, &records, clock.now()).err())
}

/// Takes every key, or none. Inside a transaction that holds the write lock, and that must be
/// rolled back if this fails.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    requests: &[LeaseRequest],
    now: i64,
) -> Result<Acquired, Failure> {
    let records = row::load_all(connection, &keys(requests)).await?;
    let grants = match decide(requests, &records, now) {
        Ok(grants) => grants,
        Err(occupant) => return Ok(Acquired::Occupied(occupant)),
    };
    let mut tokens = draw_tokens(connection, &records, &grants).await?;
    let mut leases = Vec::with_capacity(requests.len());
    for (request, grant) in requests.iter().zip(grants) {
        let record = match grant {
            Grant::Again(record) => {
                let renewal = Update::Renew { lease: request.lease };
                let record = record.after(&renewal, now);
                row::change(connection, &request.key, &record).await?;
                record
            }
            Grant::New { attempt, fingerprint } => {
                let token = Token::new(tokens.next().unwrap_or_default());
                let record = Record::taken(request, token, attempt, fingerprint, now);
                row::put(connection, &request.key, &record).await?;
                record
            }
        };
        leases.push(record.lease(&request.key));
    }
    Ok(Acquired::Leases(leases))
}

/// What a request gets.
#[derive(Clone, Copy, Debug)]
enum Grant<'record> {
    /// A new lease, as this attempt.
    New { attempt: u32, fingerprint: Option<Fingerprint> },
    /// The lease it has.
    Again(&'record Record),
}

fn keys(requests: &[LeaseRequest]) -> Vec<&Key> {
    requests.iter().map(|request| &request.key).collect()
}

/// What each request gets, or the first occupied key in the order of the requests.
fn decide<'record>(
    requests: &[LeaseRequest],
    records: &'record [Option<Record>],
    now: i64,
) -> Result<Vec<Grant<'record>>, Occupant> {
    let decide_one =
        |(request, record): (&LeaseRequest, &'record Option<Record>)| match Record::standing(
            record.as_ref(),
            request,
            now,
        ) {
            Standing::Free { attempt, fingerprint } => Ok(Grant::New { attempt, fingerprint }),
            Standing::Own(record) => Ok(Grant::Again(record)),
            Standing::Occupied(occupant) => Err(occupant),
        };
    requests.iter().zip(records).map(decide_one).collect()
}

/// As many tokens as there are new leases, above every token drawn before and those left unused.
async fn draw_tokens(
    connection: &mut SqliteConnection,
    records: &[Option<Record>],
    grants: &[Grant<'_>],
) -> Result<StepBy<Range<u64>>, Failure> {
    let new = grants.iter().filter(|grant| matches!(grant, Grant::New { .. })).count();
    let stride = SPARE_TOKENS as usize + 1;
    let Ok(new @ 1..) = i64::try_from(new * stride) else { return Ok((0..0).step_by(stride)) };
    // The counter is never behind a record unless someone edited it; then the record is right.
    let highest = records.iter().flatten().map(|record| record.token.value() + SPARE_TOKENS);
    let highest = highest.max().unwrap_or(0);
    let last: Option<i64> = sqlx::query_scalar(
        "update oncely_meta set value = max(value, ?) + ? \
         where name = 'last_token' and typeof(value) = 'integer' and value >= 0 returning value",
    )
    .bind(i64::try_from(highest).unwrap_or(i64::MAX))
    .bind(new)
    .fetch_optional(connection)
    .await?;
    match last {
        Some(last) if last >= new && last < TOKEN_LIMIT => {
            Ok(((last - new + 1).unsigned_abs()..last.unsigned_abs() + 1).step_by(stride))
        }
        Some(last) => Err(Failure::Corrupt(format!("the token counter cannot go to {last}"))),
        None => Err(Failure::Corrupt("the token counter is missing or no count".to_owned())),
    }
}
