//! Taking keys: a look, a claim of what is free, and the takeover of what others left.

use std::collections::HashMap;

use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, Row as _};

use super::super::columns::{FREE, IN_PROGRESS, code, on_interrupted_code};
use super::super::dialect::Claimed;
use super::super::failure::Failure;
use super::super::name;
use super::super::rules::{self, Instant};
use super::row::{columns, decode, short};
use super::text::{Answer, Text};
use super::{MySql, micros};
use crate::store::record::{ABANDONED, Record, State, TOMBSTONE, millis};
use crate::store::{Acquired, LeaseRequest, Occupant, OnInterrupted};

/// Reads the highest token of what was deleted.
pub(super) const FLOOR: &str =
    "@oncely_floor = (select value from oncely_meta where name = 'token_floor')";

/// The columns of a [`new_record`].
pub(super) const WRITTEN: &str = "`key`, token, attempt_id, attempt, on_interrupted, fingerprint, \
     expires_at, purge_at, state";

/// Takes a record that was given back, and leaves every other one as it is. The state comes last: the
/// other columns ask for what it was.
macro_rules! unless_taken {
    () => {
        " on duplicate key update \
             token = if(state = 3, greatest(values(token), token + 32), token), \
             attempt_id = if(state = 3, values(attempt_id), attempt_id), \
             attempt = if(state = 3, 1, attempt), \
             on_interrupted = if(state = 3, values(on_interrupted), on_interrupted), \
             fingerprint = if(state = 3, values(fingerprint), fingerprint), \
             expires_at = if(state = 3, values(expires_at), expires_at), \
             purge_at = if(state = 3, values(purge_at), purge_at), \
             state = if(state = 3, values(state), state)"
    };
}
pub(super) use unless_taken;

/// The values of a record that was not there.
pub(super) fn new_record(text: &mut Text, request: &LeaseRequest, state: i64) {
    let length = if state == FREE { 0 } else { rules::length(request.lease) };
    let keep = if state == FREE { Some(millis(TOMBSTONE)) } else { keep(request) };
    text.value(&name::column(&request.key));
    text.add(", greatest(@oncely_now, @oncely_floor + 32), ");
    text.value(request.attempt_id.as_bytes()).add(", 1, ");
    text.value(on_interrupted_code(request.on_interrupted)).add(", ");
    text.value(request.fingerprint.map(|print| print.to_bytes()).as_ref());
    text.add(", @oncely_now div 1000 + ").value(length);
    text.add(", @oncely_now div 1000 + ").value(keep).add(", ").value(state);
}

impl MySql {
    /// One row for each record that is there, after one with the time.
    fn ask(&self, text: &mut Text, names: &[Vec<u8>]) {
        text.add("select ").add(micros!()).value(self.offset() * 1000);
        text.add(", (select value from oncely_meta where name = 'token_floor'); select ");
        text.add(columns!()).add(", `key` from oncely_records where `key` in (");
        text.list(names).add(")");
    }

    pub(super) async fn look_at(
        &self,
        connection: &mut MySqlConnection,
        calls: &[&[LeaseRequest]],
    ) -> Result<Vec<Option<Occupant>>, Failure> {
        let mut text = Text::default();
        self.ask(&mut text, &names(calls.iter().copied().flatten()));
        let seen = Seen::new(text.send(connection).await?)?;
        let look = |requests: &&[LeaseRequest]| seen.occupant(requests);
        calls.iter().map(look).collect()
    }

    /// Writes the records of all calls in one statement, in the order of their keys, where there is
    /// none or one that was given back; then reads them. No update of a row that is there takes a
    /// shared lock first, so two who claim the same key do not wait for each other.
    pub(super) async fn claim_new(
        &self,
        connection: &mut MySqlConnection,
        calls: &[&[LeaseRequest]],
    ) -> Result<Vec<Claimed>, Failure> {
        let mut requests: Vec<_> = calls.iter().copied().flatten().collect();
        requests.sort_by_cached_key(|request| name::column(&request.key));
        let mut text = Text::default();
        self.begin(&mut text);
        text.add("set ")
            .add(FLOOR)
            .add("; insert into oncely_records (")
            .add(WRITTEN)
            .add(") values ");
        for (at, request) in requests.iter().enumerate() {
            text.add(if at > 0 { ", (" } else { "(" });
            new_record(&mut text, request, IN_PROGRESS);
            text.add(")");
        }
        text.add(unless_taken!()).add("; ");
        text.add("select @oncely_now, @oncely_floor; select ").add(columns!());
        text.add(", `key` from oncely_records where `key` in (");
        text.list(&names(requests.iter().copied())).add("); ");
        // Who takes several keys must be able to give them up together.
        let one_each = calls.iter().all(|requests| requests.len() == 1);
        if one_each {
            self.end(&mut text, "commit");
        }
        let seen = Seen::new(text.send(connection).await?)?;
        let claimed: Result<Vec<_>, _> =
            calls.iter().map(|requests| seen.claimed(requests)).collect();
        if !one_each {
            let torn = calls.iter().any(|requests| seen.is_torn(requests));
            if torn || claimed.is_err() {
                return claimed.and(Err(Failure::Raced));
            }
            let mut text = Text::default();
            self.end(&mut text, "commit");
            text.send(connection).await?;
        }
        claimed
    }

    pub(super) async fn take_any(
        &self,
        connection: &mut MySqlConnection,
        requests: &[LeaseRequest],
    ) -> Result<Acquired, Failure> {
        let mut text = Text::default();
        self.begin(&mut text);
        self.ask(&mut text, &names(requests));
        text.add(" order by `key` for update");
        let seen = Seen::new(text.send(connection).await?)?;
        let records: Vec<_> =
            requests.iter().map(|request| seen.record(request)).collect::<Result<_, _>>()?;
        let mut text = Text::default();
        let granted = match rules::grant(requests, &records, seen.now).map_err(Failure::Corrupt)? {
            Ok(granted) => granted,
            Err(occupant) => {
                self.end(&mut text, "rollback");
                text.send(connection).await?;
                return Ok(Acquired::Occupied(occupant));
            }
        };
        let mut order: Vec<_> = (0..requests.len()).collect();
        order.sort_by_cached_key(|&at| name::column(&requests[at].key));
        for at in order {
            write(&mut text, &requests[at], &granted[at], records[at].is_some());
        }
        self.end(&mut text, "commit");
        text.send(connection).await?;
        let leases = requests.iter().zip(&granted).map(|(r, record)| record.lease(&r.key));
        Ok(Acquired::Leases(leases.collect()))
    }
}

/// Writes a record that is held by a lock on its row, or that must be the first of its key.
pub(super) fn write(text: &mut Text, request: &LeaseRequest, record: &Record, is_there: bool) {
    text.add(if is_there { "update" } else { "insert into" });
    text.add(" oncely_records set token = ").value(record.token.value().cast_signed());
    text.add(", attempt_id = ").value(record.attempt_id.as_bytes());
    text.add(", attempt = ").value(i64::from(record.attempt));
    text.add(", on_interrupted = ").value(on_interrupted_code(record.on_interrupted));
    text.add(", fingerprint = ").value(record.fingerprint.map(|print| print.to_bytes()).as_ref());
    text.add(", expires_at = ").value(record.expires_at);
    text.add(", completed_at = null, outcome_code = null, outcome = null, purge_at = ");
    text.value(record.purge_at()).add(", state = ").value(code(&record.state));
    text.add(if is_there { " where `key` = " } else { ", `key` = " });
    text.value(&name::column(&request.key)).add("; ");
}

fn names<'a>(requests: impl IntoIterator<Item = &'a LeaseRequest>) -> Vec<Vec<u8>> {
    requests.into_iter().map(|request| name::column(&request.key)).collect()
}

/// How long after now the record of a request that is never heard of again is deleted.
pub(super) fn keep(request: &LeaseRequest) -> Option<i64> {
    match request.on_interrupted {
        OnInterrupted::Rerun => {
            Some(rules::length(request.lease).saturating_add(millis(ABANDONED)))
        }
        OnInterrupted::Hold => None,
    }
}

/// The records that were found at one moment.
pub(super) struct Seen {
    pub(super) now: Instant,
    rows: HashMap<Vec<u8>, MySqlRow>,
}

impl Seen {
    pub(super) fn new(answer: Answer) -> Result<Self, Failure> {
        let mut rows = answer.rows.into_iter();
        let clock = rows.next().ok_or_else(|| Failure::Corrupt("there is no time".into()))?;
        let now = Instant { micros: clock.try_get(0)?, floor: clock.try_get(1)? };
        let rows = rows.map(|row| Ok((row.try_get(2)?, row))).collect::<Result<_, Failure>>()?;
        Ok(Self { now, rows })
    }

    pub(super) fn record(&self, request: &LeaseRequest) -> Result<Option<Record>, Failure> {
        self.rows.get(&name::column(&request.key)).map(|row| decode(row, 0)).transpose()
    }

    /// The first occupied key of a call.
    fn occupant(&self, requests: &[LeaseRequest]) -> Result<Option<Occupant>, Failure> {
        for request in requests {
            let record = self.record(request)?;
            if let Some(met) = rules::occupant(record.as_ref(), request, self.now.now()) {
                return Ok(Some(met));
            }
        }
        Ok(None)
    }

    fn claimed(&self, requests: &[LeaseRequest]) -> Result<Claimed, Failure> {
        let mut leases = Vec::with_capacity(requests.len());
        for request in requests {
            if let Some(record) = self.record(request)?
                && is_taken(request, &record, self.now.now())
            {
                leases.push(record.lease(&request.key));
            }
        }
        if leases.len() == requests.len() {
            return Ok(Claimed::Answered(Acquired::Leases(leases)));
        }
        Ok(match self.occupant(requests)? {
            Some(met) => Claimed::Answered(Acquired::Occupied(met)),
            None => Claimed::Unclear,
        })
    }

    /// Whether a call has got some of its keys and not all.
    fn is_torn(&self, requests: &[LeaseRequest]) -> bool {
        let is_taken = |request: &&LeaseRequest| {
            let record = self.record(request).ok().flatten();
            record.is_some_and(|record| is_taken(request, &record, self.now.now()))
        };
        let taken = requests.iter().filter(is_taken).count();
        taken != 0 && taken != requests.len()
    }
}

/// Whether the record is the one that this request has just written. One of an earlier copy of the
/// request may end sooner than this one asks for.
pub(super) fn is_taken(request: &LeaseRequest, record: &Record, now: i64) -> bool {
    matches!(record.state, State::InProgress)
        && record.attempt_id == request.attempt_id
        && record.expires_at >= now.saturating_add(rules::length(request.lease))
}
