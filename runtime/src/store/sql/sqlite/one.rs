//! The work that needs no decision: a free key, and an update by its holder, each in one message.
//!
//! A message to a connection goes to a thread and back, which costs more than what the statement
//! does.

use futures_util::StreamExt as _;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Either, Executor as _, Sqlite, SqliteConnection};

use super::super::columns::{self, code, column, on_interrupted_code};
use super::super::joins::{DatabaseId, Purpose};
use super::super::rules::{self, STRIDE};
use super::super::wanted::Wanted;
use super::error::Failure;
use crate::store::record::{ABANDONED, Record, millis};
use crate::store::{Lease, LeaseRequest, StoredOutcome, Update};

/// Whether the record can be understood. One that cannot is for whoever reads it to complain about.
macro_rules! sound {
    () => {
        "typeof(attempt) = 'integer' and attempt between 0 and 4294967295 \
         and on_interrupted in (0, 1) and typeof(attempt_id) = 'blob' and length(attempt_id) = 16 \
         and (fingerprint is null or typeof(fingerprint) = 'blob' and length(fingerprint) = 33) \
         and typeof(expires_at) = 'integer'"
    };
}

/// Writes the record of a key that has none or was given back, under a token that is the time by our
/// clock, if that is above the tokens of this key and above those of deleted records. Leaves every
/// other one as it is, for whoever decides.
///
/// Asks for no row: to give one, SQLite makes a table for it, which costs as much as the record. A
/// token that is null is no token, and the record is left out.
macro_rules! claim {
    ($from:literal, $where:literal) => {
        concat!(
            "insert or ignore into oncely_records (key, token, attempt_id, state, attempt, \
                 on_interrupted, fingerprint, expires_at, purge_at) \
             values (?, (select ? from oncely_meta as floor",
            $from,
            " where floor.name = 'token_floor' and typeof(floor.value) = 'integer' \
                 and floor.value between 0 and ?",
            $where,
            "), ?, ?, 1, ?, ?, ?, ?) \
             on conflict (key) do update set token = excluded.token, \
             attempt_id = excluded.attempt_id, state = excluded.state, attempt = 1, \
             on_interrupted = excluded.on_interrupted, fingerprint = excluded.fingerprint, \
             expires_at = excluded.expires_at, purge_at = excluded.purge_at, \
             completed_at = null, outcome_code = null, outcome = null \
             where state = 3 and typeof(token) = 'integer' \
             and token between 0 and excluded.token - 32 and ",
            sound!(),
            "; "
        )
    };
}

/// A claim of a key.
pub(super) const CLAIM: &str = claim!("", "");

/// The same, in a transaction that may be in another file.
const CLAIM_AT_HOME: &str =
    claim!(", oncely_meta as home", " and home.name = 'identity' and home.value = ?");

/// Writes what an update says, if its token still holds the record.
pub(super) const UPDATE: &str = concat!(
    "update oncely_records set state = ?, completed_at = ?, outcome_code = ?, \
     outcome = ?, expires_at = ?, purge_at = case when on_interrupted = 0 or ? then ? end \
     where key = ? and token = ? and state = 0 and ",
    sound!(),
    "; "
);

/// Writes an outcome that is to be kept for as long as the record is already. Where the purge finds a
/// record is an index, so that it costs a second place in the file to change that.
macro_rules! complete {
    ($($also:expr),*) => {
        concat!(
            "update oncely_records set state = 1, completed_at = ?1, outcome_code = ?2, \
             outcome = ?3, expires_at = ?4 where key = ?5 and token = ?6 and state = 0 \
             and purge_at between ?4 and ?7"
            $(, $also)*
        )
    };
}

const COMPLETE: &str = complete!(" and ", sound!());

/// The same for the transaction that wrote the record.
const COMPLETE_JOINED: &str = complete!();

/// How much longer than it replays an outcome may be kept, in milliseconds.
const SLACK: i64 = 3_600_000;

/// Takes a key that has no record or was given back, at the time `micros`; none if it has to be looked
/// at.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    request: &LeaseRequest,
    micros: i64,
) -> Result<Option<Lease>, Failure> {
    let Some(record) = taken(request, micros) else { return Ok(None) };
    let claim = bind_token(query(CLAIM, 10), request, micros);
    let rows = rows(connection, bind_record(claim, &record)).await?;
    Ok((rows == 1).then(|| record.lease(&request.key)))
}

/// The same in the caller's transaction, if that is in the file of `home`.
pub(super) async fn claim_at_home(
    connection: &mut SqliteConnection,
    home: DatabaseId,
    request: &LeaseRequest,
    purpose: Purpose,
    micros: i64,
) -> Result<Option<Lease>, Failure> {
    let Some(mut record) = taken(request, micros) else { return Ok(None) };
    if purpose == Purpose::Lock {
        record.apply(&Update::Release, rules::millis(micros));
    }
    let claim = bind_token(query(CLAIM_AT_HOME, 11), request, micros).bind(home.identity());
    let rows = rows(connection, bind_record(claim, &record)).await?;
    Ok((rows == 1).then(|| record.lease(&request.key)))
}

/// The record to be written, whose token is the time; none if that cannot be one.
pub(super) fn taken(request: &LeaseRequest, micros: i64) -> Option<Record> {
    let token = columns::token(micros).ok()?;
    Some(Record::taken(request, token, 1, request.fingerprint, rules::millis(micros)))
}

/// The key, its token, and the highest floor that the token stands above.
pub(super) fn bind_token<'a>(
    query: Asked<'a>,
    request: &'a LeaseRequest,
    micros: i64,
) -> Asked<'a> {
    let floor = micros.saturating_sub(STRIDE);
    query.bind(request.key.as_str().as_bytes()).bind(micros).bind(floor)
}

pub(super) fn bind_record<'a>(query: Asked<'a>, record: &'a Record) -> Asked<'a> {
    query
        .bind(record.attempt_id.as_bytes().as_slice())
        .bind(code(&record.state))
        .bind(on_interrupted_code(record.on_interrupted))
        .bind(record.fingerprint.map(|fingerprint| fingerprint.to_bytes().to_vec()))
        .bind(record.expires_at)
        .bind(record.purge_at())
}

/// Whether the update was applied.
pub(super) async fn update(
    connection: &mut SqliteConnection,
    update: &(Lease, Update),
    now: i64,
) -> Result<bool, Failure> {
    Ok(completes_in_place(connection, COMPLETE, update, now).await?
        || changes(connection, update, now).await?)
}

/// The same, in the caller's transaction, which has the claim.
pub(super) async fn update_joined(
    connection: &mut SqliteConnection,
    update: &(Lease, Update),
    now: i64,
) -> Result<bool, Failure> {
    Ok(completes_in_place(connection, COMPLETE_JOINED, update, now).await?
        || changes(connection, update, now).await?)
}

async fn changes(
    connection: &mut SqliteConnection,
    update: &(Lease, Update),
    now: i64,
) -> Result<bool, Failure> {
    Ok(rows(connection, bind_update(query(UPDATE, 9), update, now)).await? == 1)
}

async fn completes_in_place(
    connection: &mut SqliteConnection,
    statement: &'static str,
    (lease, update): &(Lease, Update),
    now: i64,
) -> Result<bool, Failure> {
    let Update::Complete { outcome, retention } = update else { return Ok(false) };
    let (length, abandoned) = (rules::length(*retention), millis(ABANDONED));
    if length > abandoned || length <= abandoned - SLACK {
        return Ok(false);
    }
    let until = now.saturating_add(length);
    let complete = query(statement, 7)
        .bind(now)
        .bind(i64::from(outcome.code()))
        .bind(outcome.payload())
        .bind(until)
        .bind(lease.key.as_str().as_bytes())
        .bind(column(lease.token))
        .bind(until.saturating_add(SLACK));
    Ok(rows(connection, complete).await? == 1)
}

pub(super) fn bind_update<'a>(
    query: Asked<'a>,
    (lease, update): &'a (Lease, Update),
    now: i64,
) -> Asked<'a> {
    let wanted = Wanted::of(update);
    let until = now.saturating_add(wanted.length);
    query
        .bind(wanted.state)
        .bind(wanted.outcome.map(|_| now))
        .bind(wanted.outcome.map(|outcome| i64::from(outcome.code())))
        .bind(wanted.outcome.map(StoredOutcome::payload))
        .bind(until)
        .bind(wanted.is_over())
        .bind(until.saturating_add(wanted.keep))
        .bind(lease.key.as_str().as_bytes())
        .bind(column(lease.token))
}

pub(super) type Asked<'query> = Query<'query, Sqlite, SqliteArguments>;

/// A statement with room for so many values.
pub(super) fn query<'a>(statement: &'static str, values: usize) -> Asked<'a> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values, 0);
    sqlx::query_with(statement, arguments)
}

/// How many rows a single statement wrote. It is done when it says so; the end of its answers need not
/// be waited for.
async fn rows(connection: &mut SqliteConnection, query: Asked<'_>) -> Result<u64, Failure> {
    let mut results = connection.fetch_many(query);
    while let Some(result) = results.next().await {
        if let Either::Left(done) = result? {
            return Ok(done.rows_affected());
        }
    }
    Ok(0)
}
