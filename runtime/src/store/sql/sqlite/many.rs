//! The work of a batch that needs no decision, in a few messages: new keys, and updates by holders.
//!
//! Each message to a connection goes to a thread and back, which costs more than what the statement
//! does. Several statements in one message cost one way.

use std::sync::LazyLock;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Row as _, Sqlite, SqliteConnection};

use super::super::columns::{
    COMPLETED, FREE, IN_PROGRESS, INTERRUPTED, TOKEN_LIMIT, column, on_interrupted_code,
};
use super::error::Failure;
use crate::store::clock::Clock;
use crate::store::record::{ABANDONED, Record, SPARE_TOKENS, TOMBSTONE, millis};
use crate::store::{Lease, LeaseRequest, StoredOutcome, Token, Update};

/// From one token to the next.
pub(super) const STRIDE: i64 = SPARE_TOKENS.cast_signed() + 1;

/// Whether the record can be understood. One that cannot is for whoever reads it to complain about.
macro_rules! sound {
    () => {
        "typeof(oncely_records.attempt) = 'integer' \
         and oncely_records.attempt between 0 and 4294967295 \
         and oncely_records.on_interrupted in (0, 1) \
         and typeof(oncely_records.attempt_id) = 'blob' \
         and length(oncely_records.attempt_id) = 16 \
         and (oncely_records.fingerprint is null \
             or typeof(oncely_records.fingerprint) = 'blob' \
                 and length(oncely_records.fingerprint) = 33) \
         and typeof(oncely_records.expires_at) = 'integer'"
    };
}

/// Takes a record that was given back and leaves every other one as it is.
macro_rules! unless_taken {
    () => {
        concat!(
            " on conflict (key) do update set \
             token = excluded.token, attempt_id = excluded.attempt_id, state = 0, attempt = 1, \
             on_interrupted = excluded.on_interrupted, fingerprint = excluded.fingerprint, \
             expires_at = excluded.expires_at, purge_at = excluded.purge_at, \
             completed_at = null, outcome_code = null, outcome = null \
             where oncely_records.state = 3 \
             and oncely_records.token < excluded.token - 31 and ",
            sound!(),
            " returning token"
        )
    };
}

/// Writes the record of a key that has none or was given back, and says under which token.
const CLAIM: &str = concat!(
    "insert into oncely_records \
     (key, token, attempt_id, state, attempt, on_interrupted, fingerprint, expires_at, purge_at) \
     values (?, ?, ?, 0, 1, ?, ?, ?, ?)",
    unless_taken!(),
    "; "
);

/// Writes what an update says, if its token still holds the record.
const UPDATE: &str = concat!(
    "update oncely_records set state = ?, completed_at = ?, outcome_code = ?, \
     outcome = ?, expires_at = ?, purge_at = case when on_interrupted = 0 or ? then ? end \
     where key = ? and token = ? and state = 0 and ",
    sound!(),
    " returning token; "
);

/// Draws a token, writes the record of one key as [`CLAIM`] does, and ends the transaction: one message
/// for the call that comes alone.
const CLAIM_ALONE: &str = concat!(
    "update oncely_meta set value = value + 32 where name = 'last_token' \
         and typeof(value) = 'integer' and value between 0 and 9007199254740959; \
     insert into oncely_records (key, token, attempt_id, state, attempt, on_interrupted, \
         fingerprint, expires_at, purge_at) \
     select ?, value - 31, ?, 0, 1, ?, ?, ?, ? from oncely_meta where changes() = 1 \
         and name = 'last_token'",
    unless_taken!(),
    "; commit"
);

const DRAW: &str = "update oncely_meta set value = value + ? \
     where name = 'last_token' and typeof(value) = 'integer' and value >= 0 returning value";

/// So many statements go into one message at most; a power of two.
const MOST: usize = 64;

/// A statement, and its repetitions: twice, four times and so on. The connection remembers each.
type Repeated = LazyLock<Vec<String>>;
static CLAIMS: Repeated = LazyLock::new(|| repeated(CLAIM));
static UPDATES: Repeated = LazyLock::new(|| repeated(UPDATE));

fn repeated(statement: &str) -> Vec<String> {
    (0..=MOST.ilog2()).map(|power| statement.repeat(1 << power)).collect()
}

/// Takes the keys that have no record or were given back; none for the others. Inside a transaction
/// that holds the write lock, and that must be rolled back if this fails.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    requests: &[&LeaseRequest],
    now: i64,
) -> Result<Vec<Option<Lease>>, Failure> {
    let Ok(many @ 1..) = i64::try_from(requests.len()) else { return Ok(Vec::new()) };
    let drawn = sqlx::query_scalar(DRAW).bind(many * STRIDE);
    let last: Option<i64> = drawn.fetch_optional(&mut *connection).await?;
    // What is wrong with the counter is found where it is read.
    let Some(last) = last.filter(|last| *last < TOKEN_LIMIT && *last >= many * STRIDE) else {
        return Ok(vec![None; requests.len()]);
    };
    claim_under(connection, requests, last - many * STRIDE + 1, now).await
}

/// [`claim`] under tokens that were drawn, of which `first` is the first.
pub(super) async fn claim_under(
    connection: &mut SqliteConnection,
    requests: &[&LeaseRequest],
    first: i64,
    now: i64,
) -> Result<Vec<Option<Lease>>, Failure> {
    let records = requests.iter().zip((first..).step_by(STRIDE as usize));
    let records: Vec<_> = records
        .map(|(request, token)| {
            let token = Token::new(token.unsigned_abs());
            (*request, Record::taken(request, token, 1, request.fingerprint, now))
        })
        .collect();
    let written = send(connection, &CLAIMS, &records, |query, (request, record)| {
        query
            .bind(request.key.as_str().as_bytes())
            .bind(column(record.token))
            .bind(record.attempt_id.as_bytes().as_slice())
            .bind(on_interrupted_code(record.on_interrupted))
            .bind(record.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
            .bind(record.expires_at)
            .bind(record.purge_at())
    });
    let written = written.await?;
    let lease = |(request, record): &(&LeaseRequest, Record)| {
        written.contains(&column(record.token)).then(|| record.lease(&request.key))
    };
    Ok(records.iter().map(lease).collect())
}

/// Takes a key that has no record or was given back; none if it is not so. In a transaction of its own.
pub(super) async fn claim_alone(
    connection: &mut SqliteConnection,
    request: &LeaseRequest,
    clock: &Clock,
) -> Result<Option<Lease>, Failure> {
    sqlx::raw_sql("begin immediate").execute(&mut *connection).await?;
    // The lease starts when the lock is held, and its token is not known yet.
    let record = Record::taken(request, Token::new(0), 1, request.fingerprint, clock.now());
    let claim = sqlx::query_scalar(CLAIM_ALONE)
        .bind(request.key.as_str().as_bytes())
        .bind(record.attempt_id.as_bytes().as_slice())
        .bind(on_interrupted_code(record.on_interrupted))
        .bind(record.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
        .bind(record.expires_at)
        .bind(record.purge_at());
    let tokens: Vec<i64> = match claim.fetch_all(&mut *connection).await {
        Ok(tokens) => tokens,
        Err(error) => {
            // Where that fails, the transaction is over, or the connection is.
            let _ = sqlx::raw_sql("rollback").execute(connection).await;
            return Err(error.into());
        }
    };
    let token = tokens.first().map(|token| Token::new(token.unsigned_abs()));
    Ok(token.map(|token| Lease::new(request.key.clone(), token, record.attempt)))
}

/// Which of the updates were applied, in their order. As [`claim`], or, for a single one, in a
/// transaction of its own.
pub(super) async fn update(
    connection: &mut SqliteConnection,
    updates: &[&(Lease, Update)],
    now: i64,
) -> Result<Vec<bool>, Failure> {
    let written = send(connection, &UPDATES, updates, |query, (lease, update)| {
        let (state, length, keep, outcome) = match update {
            Update::Renew { lease } => (IN_PROGRESS, millis(*lease), millis(ABANDONED), None),
            Update::Complete { outcome, retention } => {
                (COMPLETED, millis(*retention), 0, Some(outcome))
            }
            Update::Release => (FREE, 0, millis(TOMBSTONE), None),
            Update::Interrupt => (INTERRUPTED, 0, millis(ABANDONED), None),
        };
        let until = now.saturating_add(length);
        query
            .bind(state)
            .bind(outcome.map(|_| now))
            .bind(outcome.map(|outcome| i64::from(outcome.code())))
            .bind(outcome.map(StoredOutcome::payload))
            .bind(until)
            .bind(state == COMPLETED || state == FREE)
            .bind(until.saturating_add(keep))
            .bind(lease.key.as_str().as_bytes())
            .bind(column(lease.token))
    });
    // In the order of the updates. Of those of one token the first ones apply, and then no more.
    let mut written = written.await?.into_iter().peekable();
    let mut applies = |token| written.next_if_eq(&token).is_some();
    Ok(updates.iter().map(|(lease, _)| applies(column(lease.token))).collect())
}

type Asked<'query> = Query<'query, Sqlite, SqliteArguments>;

/// The tokens of the records that were written. Tokens of a file are not given twice.
async fn send<'a, T>(
    connection: &mut SqliteConnection,
    statements: &'static Repeated,
    mut items: &'a [T],
    bind: impl Fn(Asked<'a>, &'a T) -> Asked<'a>,
) -> Result<Vec<i64>, Failure> {
    let mut written = Vec::with_capacity(items.len());
    while !items.is_empty() {
        let power = items.len().min(MOST).ilog2();
        let (now, later) = items.split_at(1 << power);
        let Some(text) = statements.get(power as usize) else { break };
        let query = now.iter().fold(sqlx::query(text.as_str()), &bind);
        for row in query.fetch_all(&mut *connection).await? {
            written.push(row.try_get(0)?);
        }
        items = later;
    }
    Ok(written)
}
