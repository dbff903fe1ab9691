//! Calls that join a transaction in MySQL or MariaDB.

use std::time::Duration;

use sqlx::{Connection, Executor as _, MySqlConnection, Row as _};

use super::super::columns::{FREE, IN_PROGRESS};
use super::super::failure::{Failure, Meaning};
use super::super::joins::{Claim, DatabaseId, Joins, Purpose, RESTORE, SAVE};
use super::super::rules::Instant;
use super::super::{name, rules};
use super::acquire::{FLOOR, Seen, WRITTEN, new_record, unless_taken, write};
use super::row::{columns, decode, short};
use super::text::{Text, number};
use super::{IDENTITY, MYSQL, called, micros, update};
use crate::store::record::{Record, State};
use crate::store::{BoxFuture, Lease, LeaseRequest, StoreError, StoredOutcome, Update, Updated};

/// Takes the key if it is free, in one message. A claim of another transaction is waited for at the
/// row itself, for a second at most: the server has no shorter time, and the end of it undoes only
/// the statement.
async fn claim(
    connection: &mut MySqlConnection,
    home: DatabaseId,
    request: &LeaseRequest,
    purpose: Purpose,
) -> Result<Claim, Failure> {
    if let Purpose::Call { retention } = purpose
        && home.returns()
    {
        return called::claim(connection, home, request, rules::length(retention)).await;
    }
    let answer = if home.returns() {
        insert_returning(home, request, purpose).send(connection).await
    } else {
        insert(home, request, purpose).send(connection).await
    };
    if let Err(failure) = &answer
        && !home.returns()
        && failure.leaves_connection_usable()
    {
        // The server has left out what comes after the statement that failed.
        reset(connection).await?;
    }
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) if failure.meaning() == Meaning::Blocked => return Ok(Claim::Hidden),
        Err(failure) => return Err(failure),
    };
    let (now, record) = if home.returns() {
        let Some(row) = answer.rows.first() else {
            home.check(MYSQL, number(connection, IDENTITY).await?)?;
            return Err(Failure::Raced);
        };
        (Instant { micros: row.try_get(0)?, floor: row.try_get(1)? }, Some(decode(row, 2)?))
    } else {
        home.check(MYSQL, answer.rows.first().map(|row| row.try_get(2)).transpose()?)?;
        let seen = Seen::new(answer)?;
        (seen.now, seen.record(request)?)
    };
    if let Some(record) = &record
        && is_taken(record, request, purpose, now.now())
    {
        return Ok(Claim::Granted(record.lease(&request.key)));
    }
    // The row is locked, whatever it says.
    let requests = std::slice::from_ref(request);
    let granted = match rules::grant(requests, std::slice::from_ref(&record), now)
        .map_err(Failure::Corrupt)?
    {
        Ok(granted) => granted,
        Err(occupant) => return Ok(Claim::Occupied(occupant)),
    };
    let Some(mut taken) = granted.into_iter().next() else { return Err(Failure::Raced) };
    if purpose == Purpose::Lock {
        taken = taken.after(&Update::Release, now.now());
    }
    let mut text = Text::default();
    write(&mut text, request, &taken, record.is_some());
    text.send(connection).await?;
    Ok(Claim::Granted(taken.lease(&request.key)))
}

/// The time, the floor and the database. What a setting reads is locked like what is written from, until
/// the end of the caller's transaction: see [`called`].
fn ask(text: &mut Text) {
    text.add("set @oncely_now = ").add(micros!()).add("0, ").add(FLOOR);
    text.add(", @oncely_identity = (select value from oncely_meta where name = 'identity'); ");
}

/// Writes the record where it may be written, and asks for what is there.
fn insert(home: DatabaseId, request: &LeaseRequest, purpose: Purpose) -> Text {
    let mut text = Text::default();
    text.add("set @oncely_wait = @@innodb_lock_wait_timeout, innodb_lock_wait_timeout = 1; ");
    ask(&mut text);
    record(&mut text, home, request, purpose);
    text.add("; select @oncely_now, @oncely_floor, @oncely_identity; select ");
    text.add(columns!()).add(", `key` from oncely_records where `key` = ");
    text.value(&name::column(&request.key)).add(" for update; ").add(RESET);
    text
}

/// The same for a server that gives what it wrote, and takes a setting for one statement.
fn insert_returning(home: DatabaseId, request: &LeaseRequest, purpose: Purpose) -> Text {
    let mut text = Text::default();
    ask(&mut text);
    text.add("set statement innodb_lock_wait_timeout = 1 for ");
    record(&mut text, home, request, purpose);
    text.add(" returning @oncely_now, @oncely_floor, ").add(columns!());
    text
}

fn record(text: &mut Text, home: DatabaseId, request: &LeaseRequest, purpose: Purpose) {
    let state = if purpose == Purpose::Lock { FREE } else { IN_PROGRESS };
    text.add("insert into oncely_records (").add(WRITTEN).add(") select ");
    new_record(text, request, state);
    text.add(" from dual where @oncely_identity = ").value(home.identity()).add(unless_taken!());
}

const RESET: &str = "set innodb_lock_wait_timeout = @oncely_wait";

async fn reset(connection: &mut MySqlConnection) -> Result<(), Failure> {
    let mut text = Text::default();
    text.add(RESET);
    text.send(connection).await?;
    Ok(())
}

/// Whether the record is the one that this request has just written.
fn is_taken(record: &Record, request: &LeaseRequest, purpose: Purpose, now: i64) -> bool {
    let is_ours = record.attempt_id == request.attempt_id;
    match (purpose, &record.state) {
        (Purpose::Lock, State::Free) => is_ours && record.expires_at == now,
        (Purpose::Call { .. }, State::InProgress) => {
            is_ours && record.expires_at >= now.saturating_add(rules::length(request.lease))
        }
        _ => false,
    }
}

async fn release(connection: &mut MySqlConnection, lease: &Lease) -> Result<Updated, Failure> {
    let mut text = Text::default();
    text.add("set @oncely_now = ").add(micros!()).add("0; ");
    update::write(&mut text, &name::column(&lease.key), lease, &Update::Release);
    let answer = text.send(connection).await?;
    Ok(rules::updated(answer.changed.last().copied().unwrap_or_default()))
}

async fn run(connection: &mut MySqlConnection, statement: &'static str) -> Result<(), Failure> {
    connection.execute(sqlx::raw_sql(statement)).await?;
    Ok(())
}

/// Sees a token, unless a higher one was seen.
async fn fence(connection: &mut MySqlConnection, key: &str, token: i64) -> Result<bool, Failure> {
    let key = name::shortened(key);
    let mut text = Text::default();
    text.add("insert into oncely_fences (`key`, token) values (").value(&key).add(", ");
    text.value(token).add(") on duplicate key update token = greatest(token, values(token)); ");
    text.add("select token from oncely_fences where `key` = ").value(&key).add(" for update");
    let answer = text.send(connection).await?;
    let highest: Option<i64> = answer.rows.first().map(|row| row.try_get(0)).transpose()?;
    Ok(highest == Some(token))
}

impl Joins for MySqlConnection {
    fn is_open(&self) -> bool {
        Connection::is_in_transaction(self)
    }

    fn may_hang(&self) -> bool {
        true
    }

    fn keeps_what_it_met(&self) -> bool {
        true
    }

    fn claim<'a>(
        &'a mut self,
        home: DatabaseId,
        request: &'a LeaseRequest,
        purpose: Purpose,
    ) -> BoxFuture<'a, Result<Claim, StoreError>> {
        Box::pin(async move {
            claim(self, home, request, purpose).await.map_err(Failure::in_transaction)
        })
    }

    fn complete<'a>(
        &'a mut self,
        home: DatabaseId,
        lease: &'a Lease,
        outcome: &'a StoredOutcome,
        retention: Duration,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        Box::pin(async move {
            let completed =
                called::complete(self, home, lease, outcome, rules::length(retention)).await;
            let completed = completed.map_err(Failure::in_transaction)?;
            Ok(rules::updated(completed.into()))
        })
    }

    fn release<'a>(
        &'a mut self,
        _home: DatabaseId,
        lease: &'a Lease,
    ) -> BoxFuture<'a, Result<Updated, StoreError>> {
        Box::pin(async move { release(self, lease).await.map_err(Failure::in_transaction) })
    }

    fn fence<'a>(
        &'a mut self,
        key: &'a str,
        token: i64,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move { fence(self, key, token).await.map_err(Failure::in_transaction) })
    }

    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { run(self, SAVE).await.map_err(Failure::in_transaction) })
    }

    fn restore(&mut self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { run(self, RESTORE).await.map_err(Failure::in_transaction) })
    }
}
