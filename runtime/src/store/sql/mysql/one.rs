//! Operations on one key, which the server has prepared: it need not understand their text again.

use sqlx::{MySqlConnection, Row as _};

use super::super::columns::{self, on_interrupted_code};
use super::super::dialect::Claimed;
use super::super::failure::Failure;
use super::super::wanted::Wanted;
use super::super::{name, rules};
use super::acquire::{is_taken, keep};
use super::row::decode;
use super::{MySql, columns, micros, unless_taken};
use crate::store::{Acquired, Lease, LeaseRequest, Occupant, StoredOutcome, Update};

/// The time and the record, if there is one.
const LOOK: &str =
    concat!("select ", micros!(), "?, ", columns!(), " from oncely_records where `key` = ?");

/// Writes the record if there is none or one that was given back, and gives the record that is there
/// then. In a transaction of its own, which reads what is committed, the floor is not locked.
const CLAIM: &str = concat!(
    "insert into oncely_records (`key`, token, attempt_id, attempt, on_interrupted, fingerprint, \
         expires_at, purge_at, state) \
     select ?, greatest(",
    micros!(),
    "?, (select value from oncely_meta where name = 'token_floor') + 32), ?, 1, ?, ?, (",
    micros!(),
    "?) div 1000 + ?, (",
    micros!(),
    "?) div 1000 + ?, 0 from dual",
    unless_taken!(),
    " returning ",
    micros!(),
    "?, ",
    columns!()
);

/// Changes a record that is in progress under the token. If the outcome is to be kept about as long
/// as the claim said, the index of what is to be purged stays as it is.
const UPDATE: &str = concat!(
    "update oncely_records set completed_at = if(?, (",
    micros!(),
    "?) div 1000, null), outcome_code = ?, outcome = ?, expires_at = (",
    micros!(),
    "?) div 1000 + ?, purge_at = case when ? and purge_at - (",
    micros!(),
    "?) div 1000 between ? and ? then purge_at when on_interrupted = 0 or ? then (",
    micros!(),
    "?) div 1000 + ? end, state = ? where `key` = ? and token = ? and state = 0"
);

/// How much longer than asked for an outcome may be kept, in milliseconds.
const SLACK: i64 = 600_000;

impl MySql {
    pub(super) async fn look_at_one(
        &self,
        connection: &mut MySqlConnection,
        request: &LeaseRequest,
    ) -> Result<Option<Occupant>, Failure> {
        let row = sqlx::query(LOOK)
            .bind(self.offset() * 1000)
            .bind(name::column(&request.key))
            .fetch_optional(connection)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (now, record) = (row.try_get::<i64, _>(0)?.div_euclid(1000), decode(&row, 1)?);
        Ok(rules::occupant(Some(&record), request, now))
    }

    /// On a connection of ours and a server that says what it wrote.
    pub(super) async fn claim_one(
        &self,
        connection: &mut MySqlConnection,
        request: &LeaseRequest,
    ) -> Result<Claimed, Failure> {
        let offset = self.offset() * 1000;
        let row = sqlx::query(CLAIM)
            .bind(name::column(&request.key))
            .bind(offset)
            .bind(request.attempt_id.as_bytes().as_slice())
            .bind(on_interrupted_code(request.on_interrupted))
            .bind(request.fingerprint.map(|print| print.to_bytes().to_vec()))
            .bind(offset)
            .bind(rules::length(request.lease))
            .bind(offset)
            .bind(keep(request))
            .bind(offset)
            .fetch_one(connection)
            .await?;
        let (now, record) = (row.try_get::<i64, _>(0)?.div_euclid(1000), decode(&row, 1)?);
        if is_taken(request, &record, now) {
            let lease = record.lease(&request.key);
            return Ok(Claimed::Answered(Acquired::Leases(vec![lease])));
        }
        Ok(match rules::occupant(Some(&record), request, now) {
            Some(met) => Claimed::Answered(Acquired::Occupied(met)),
            None => Claimed::Unclear,
        })
    }

    /// Whether one record was changed.
    pub(super) async fn apply_one(
        &self,
        connection: &mut MySqlConnection,
        (lease, update): &(Lease, Update),
    ) -> Result<bool, Failure> {
        let wanted = Wanted::of(update);
        let (offset, completes) = (self.offset() * 1000, wanted.outcome.is_some());
        let done = sqlx::query(UPDATE)
            .bind(completes)
            .bind(offset)
            .bind(wanted.outcome.map(|outcome| i64::from(outcome.code())))
            .bind(wanted.outcome.map(StoredOutcome::payload))
            .bind(offset)
            .bind(wanted.length)
            .bind(completes)
            .bind(offset)
            .bind(wanted.length)
            .bind(wanted.length.saturating_add(SLACK))
            .bind(wanted.is_over())
            .bind(offset)
            .bind(wanted.length.saturating_add(wanted.keep))
            .bind(wanted.state)
            .bind(name::column(&lease.key))
            .bind(columns::column(lease.token))
            .execute(connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
