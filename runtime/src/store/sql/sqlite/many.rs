//! The work of a batch that needs no decision, in few messages: free keys, and updates by holders.
//!
//! Each message to a connection goes to a thread and back, which costs more than what the statement
//! does. Several statements in one message cost one way.

use std::sync::LazyLock;

use futures_util::StreamExt as _;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Either, Executor as _, Row as _, Sqlite, SqliteConnection};

use super::super::columns::{
    self, COMPLETED, FREE, IN_PROGRESS, INTERRUPTED, code, column, on_interrupted_code,
};
use super::super::joins::{DatabaseId, Purpose};
use super::error::Failure;
use crate::store::record::{ABANDONED, Record, TOMBSTONE, millis};
use crate::store::{Lease, LeaseRequest, StoredOutcome, Token, Update};

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

/// Writes the record of a key that has none or was given back, and says under which token; leaves
/// every other one as it is. The token is what others have as well: the time, above the tokens of this
/// key. One that would be too large is for whoever decides to complain about.
macro_rules! claim {
    ($where:literal) => {
        concat!(
            "insert into oncely_records (key, token, attempt_id, state, attempt, on_interrupted, \
                 fingerprint, expires_at, purge_at) \
             select ?, max(?, value + 32), ?, ?, 1, ?, ?, ?, ? from oncely_meta \
             where name = 'token_floor' and typeof(value) = 'integer' \
                 and value between 0 and 9007199254740959",
            $where,
            " on conflict (key) do update set \
             token = max(excluded.token, oncely_records.token + 32), \
             attempt_id = excluded.attempt_id, state = excluded.state, attempt = 1, \
             on_interrupted = excluded.on_interrupted, fingerprint = excluded.fingerprint, \
             expires_at = excluded.expires_at, purge_at = excluded.purge_at, \
             completed_at = null, outcome_code = null, outcome = null \
             where oncely_records.state = 3 and typeof(oncely_records.token) = 'integer' \
             and oncely_records.token between 0 and 9007199254740959 and ",
            sound!(),
            " returning token; "
        )
    };
}

const CLAIM: &str = claim!("");

/// The same, in a transaction that may be in another file.
const CLAIM_AT_HOME: &str = claim!(
    " and exists (select home.value from oncely_meta as home \
         where home.name = 'identity' and home.value = ?)"
);

/// Writes what an update says, if its token still holds the record.
const UPDATE: &str = concat!(
    "update oncely_records set state = ?, completed_at = ?, outcome_code = ?, \
     outcome = ?, expires_at = ?, purge_at = case when on_interrupted = 0 or ? then ? end \
     where key = ? and token = ? and state = 0 and ",
    sound!(),
    "; "
);

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
/// that holds the write lock, and that must be rolled back if this fails; or, for a single key, in one
/// of its own.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    requests: &[&LeaseRequest],
    now: i64,
) -> Result<Vec<Option<Lease>>, Failure> {
    let records: Vec<_> = requests.iter().map(|request| taken(request, now)).collect();
    let asked: Vec<_> = requests.iter().copied().zip(&records).collect();
    let written = send(connection, &CLAIMS, &asked, |query, (request, record)| {
        bind_claim(query, request, record, now)
    });
    let leases = written.await?.into_iter().zip(requests).map(|(written, request)| {
        written.token.map(|token| Lease::new(request.key.clone(), token, 1))
    });
    Ok(leases.collect())
}

/// Takes a key in the caller's transaction, if that is in the file of `home`; none if it has to be
/// looked at.
pub(super) async fn claim_at_home(
    connection: &mut SqliteConnection,
    home: DatabaseId,
    request: &LeaseRequest,
    purpose: Purpose,
    now: i64,
) -> Result<Option<Lease>, Failure> {
    let mut record = taken(request, now);
    if purpose == Purpose::Lock {
        record.apply(&Update::Release, now);
    }
    let claim = bind_claim(sqlx::query(CLAIM_AT_HOME), request, &record, now);
    let row = claim.bind(home.identity()).fetch_optional(connection).await?;
    let token = row.as_ref().map(token).transpose()?;
    Ok(token.map(|token| Lease::new(request.key.clone(), token, 1)))
}

/// The record to be written, whose token is not known yet.
fn taken(request: &LeaseRequest, now: i64) -> Record {
    Record::taken(request, Token::new(0), 1, request.fingerprint, now)
}

fn bind_claim<'a>(
    query: Asked<'a>,
    request: &'a LeaseRequest,
    record: &'a Record,
    now: i64,
) -> Asked<'a> {
    query
        .bind(request.key.as_str().as_bytes())
        .bind(now.saturating_mul(1000))
        .bind(record.attempt_id.as_bytes().as_slice())
        .bind(code(&record.state))
        .bind(on_interrupted_code(record.on_interrupted))
        .bind(record.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
        .bind(record.expires_at)
        .bind(record.purge_at())
}

/// Which of the updates were applied, in their order. As [`claim`].
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
    Ok(written.await?.into_iter().map(|written| written.rows == 1).collect())
}

type Asked<'query> = Query<'query, Sqlite, SqliteArguments>;

/// What one statement did.
struct Written {
    rows: u64,
    /// Of the row, if the statement says so.
    token: Option<Token>,
}

fn token(row: &SqliteRow) -> Result<Token, Failure> {
    columns::token(row.try_get(0)?).map_err(Failure::Corrupt)
}

/// What each statement did, in their order.
async fn send<'a, T>(
    connection: &mut SqliteConnection,
    statements: &'static Repeated,
    mut items: &'a [T],
    bind: impl Fn(Asked<'a>, &'a T) -> Asked<'a>,
) -> Result<Vec<Written>, Failure> {
    let mut written = Vec::with_capacity(items.len());
    while !items.is_empty() {
        let power = items.len().min(MOST).ilog2();
        let (now, later) = items.split_at(1 << power);
        let Some(text) = statements.get(power as usize) else { break };
        let query = now.iter().fold(sqlx::query(text.as_str()), &bind);
        let mut drawn = None;
        let mut results = connection.fetch_many(query);
        // The rows of a statement come before its end.
        while let Some(result) = results.next().await {
            match result? {
                Either::Left(done) => {
                    let rows = done.rows_affected();
                    written.push(Written { rows, token: drawn.take() });
                }
                Either::Right(row) => drawn = Some(token(&row)?),
            }
        }
        drop(results);
        items = later;
    }
    Ok(written)
}
