//! Operations on one key, which the server has prepared: it need not understand their text again.

use sqlx::MySqlConnection;

use super::super::columns::{self, on_interrupted_code};
use super::super::dialect::Claimed;
use super::super::failure::Failure;
use super::super::wanted::Wanted;
use super::super::{name, rules};
use super::acquire::{keep, unless_taken};
use super::row::{Met, found, met, seen, short};
use super::{MySql, clock};
use crate::store::{Acquired, Lease, LeaseRequest, Occupant, StoredOutcome, Update};

/// The time and the record, if there is one.
const LOOK: &str = concat!("select ", seen!(), " from oncely_records where `key` = ?");

/// Writes the record if there is none or one that was given back, and gives the record that is there
/// then. In a transaction of its own, which reads what is committed, the floor is not locked.
const CLAIM: &str = concat!(
    "insert into oncely_records (`key`, token, attempt_id, attempt, on_interrupted, fingerprint, \
         expires_at, purge_at, state) \
     select ?, greatest(",
    clock!(),
    " + ?, f.value + 32), ?, 1, ?, ?, ",
    clock!(),
    " div 1000 + ?, ",
    clock!(),
    " div 1000 + ?, 0 from oncely_meta f where f.name = 'token_floor'",
    unless_taken!(),
    " returning ",
    found!()
);

/// Changes a record that is in progress under the token. If the outcome is to be kept about as long
/// as the claim said, the index of what is to be purged stays as it is.
const UPDATE: &str = concat!(
    "update oncely_records set completed_at = if(?, ",
    clock!(),
    " div 1000 + ?, null), outcome_code = ?, outcome = ?, expires_at = ",
    clock!(),
    " div 1000 + ?, purge_at = case when ? and purge_at - ",
    clock!(),
    " div 1000 between ? and ? then purge_at when on_interrupted = 0 or ? then ",
    clock!(),
    " div 1000 + ? end, state = ? where `key` = ? and token = ? and state = 0"
);

/// What is missing where a claim writes nothing.
pub(super) const NO_FLOOR: &str = "the floor of the tokens is missing";

/// How much longer than asked for an outcome may be kept, in milliseconds.
pub(super) const SLACK: i64 = 600_000;

impl MySql {
    pub(super) async fn look_at_one(
        &self,
        connection: &mut MySqlConnection,
        request: &LeaseRequest,
    ) -> Result<Option<Occupant>, Failure> {
        let row = sqlx::query(LOOK).bind(name::column(&request.key)).fetch_optional(connection);
        Ok(match row.await?.as_ref().map(met).transpose()? {
            Some(Met::There { micros, record }) => {
                rules::occupant(Some(&record), request, self.now(micros))
            }
            Some(Met::Taken(_)) | None => None,
        })
    }

    /// On a connection of ours and a server that says what it wrote.
    pub(super) async fn claim_one(
        &self,
        connection: &mut MySqlConnection,
        request: &LeaseRequest,
    ) -> Result<Claimed, Failure> {
        // Whole milliseconds, so it does not matter where they are added.
        let offset = self.offset();
        let row = sqlx::query(CLAIM)
            .bind(name::column(&request.key))
            .bind(offset * 1000)
            .bind(request.attempt_id.as_bytes().as_slice())
            .bind(on_interrupted_code(request.on_interrupted))
            .bind(request.fingerprint.map(|print| print.to_bytes().to_vec()))
            .bind(rules::length(request.lease) + offset)
            .bind(keep(request).map(|keep| keep + offset))
            .bind(request.attempt_id.as_bytes().as_slice())
            .bind(rules::length(request.lease) + offset)
            .fetch_optional(connection)
            .await?;
        // Without the floor nothing is written.
        let row = row.ok_or_else(|| Failure::Corrupt(NO_FLOOR.to_owned()))?;
        let (micros, record) = match met(&row)? {
            Met::Taken(token) => {
                let lease = Lease::new(request.key.clone(), token, 1);
                return Ok(Claimed::Answered(Acquired::Leases(vec![lease])));
            }
            Met::There { micros, record } => (micros, record),
        };
        Ok(match rules::occupant(Some(&record), request, self.now(micros)) {
            Some(met) => Claimed::Answered(Acquired::Occupied(met)),
            None => Claimed::Unclear,
        })
    }

    /// Milliseconds by the store's clock at this time of the server's.
    pub(super) fn now(&self, micros: i64) -> i64 {
        micros.div_euclid(1000) + self.offset()
    }

    /// Whether one record was changed.
    pub(super) async fn apply_one(
        &self,
        connection: &mut MySqlConnection,
        (lease, update): &(Lease, Update),
    ) -> Result<bool, Failure> {
        let wanted = Wanted::of(update);
        let (offset, completes) = (self.offset(), wanted.outcome.is_some());
        let done = sqlx::query(UPDATE)
            .bind(completes)
            .bind(offset)
            .bind(wanted.outcome.map(|outcome| i64::from(outcome.code())))
            .bind(wanted.outcome.map(StoredOutcome::payload))
            .bind(wanted.length + offset)
            .bind(completes)
            .bind(wanted.length + offset)
            .bind(wanted.length.saturating_add(SLACK) + offset)
            .bind(wanted.is_over())
            .bind(wanted.length.saturating_add(wanted.keep) + offset)
            .bind(wanted.state)
            .bind(name::column(&lease.key))
            .bind(columns::column(lease.token))
            .execute(connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
