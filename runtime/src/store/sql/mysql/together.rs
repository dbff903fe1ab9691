//! Batches of one key each, on a server that gives what it wrote: one statement for any number of them,
//! which it has prepared, and which is a transaction of its own. What they are about comes as one text
//! of arrays.

use std::collections::HashMap;
use std::fmt::Write as _;

use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, Row as _};

use super::super::columns::{self, on_interrupted_code};
use super::super::dialect::Claimed;
use super::super::failure::Failure;
use super::super::name;
use super::super::rules;
use super::super::wanted::Wanted;
use super::acquire::{is_taken, keep, unless_taken};
use super::one::{NO_FLOOR, SLACK};
use super::row::{Met, met, seen, short};
use super::text::{Value, hexadecimal};
use super::{MySql, clock};
use crate::store::{Acquired, Lease, LeaseRequest, Update};

/// Writes the records in the order in which they come, which is that of their keys.
const CLAIM: &str = concat!(
    "insert into oncely_records (`key`, token, attempt_id, attempt, on_interrupted, fingerprint, \
         expires_at, purge_at, state) \
     select straight_join unhex(j.k), greatest(",
    clock!(),
    " + ?, f.value + 32), unhex(j.a), 1, j.h, unhex(j.p), ",
    clock!(),
    " div 1000 + j.l, ",
    clock!(),
    " div 1000 + j.g, 0 from oncely_meta f join json_table(?, '$[*]' columns (\
         k varchar(1400) character set ascii path '$[0]', a char(32) character set ascii path '$[1]', \
         h tinyint path '$[2]', p varchar(128) character set ascii path '$[3]', \
         l bigint path '$[4]', g bigint path '$[5]')) j where f.name = 'token_floor'",
    unless_taken!(),
    " returning ",
    seen!(),
    ", `key`"
);

/// As [`one`](super::one) changes one record.
const UPDATE: &str = concat!(
    "update json_table(?, '$[*]' columns (\
         k varchar(1400) character set ascii path '$[0]', t bigint path '$[1]', \
         s tinyint path '$[2]', c smallint path '$[3]', \
         o longtext character set ascii path '$[4]', l bigint path '$[5]', \
         g bigint path '$[6]')) j \
     straight_join oncely_records r on r.`key` = unhex(j.k) set r.completed_at = if(j.s = 1, ",
    clock!(),
    " div 1000 + ?, null), r.outcome_code = j.c, r.outcome = unhex(j.o), r.expires_at = ",
    clock!(),
    " div 1000 + j.l, r.purge_at = case when j.s = 1 and r.purge_at - ",
    clock!(),
    " div 1000 between j.l and j.l + ? then r.purge_at \
     when j.s in (1, 3) or r.on_interrupted = 0 then ",
    clock!(),
    " div 1000 + j.g end, r.state = j.s where r.token = j.t and r.state = 0"
);

/// Arrays in an array. They hold nothing but numbers and hexadecimal digits.
struct Arrays(String);

impl Arrays {
    fn new() -> Self {
        Self("[".to_owned())
    }

    fn begin(&mut self) {
        self.0.push_str(if self.0.len() > 1 { ",[" } else { "[" });
    }

    fn value<'value>(&mut self, value: impl Into<Value<'value>>) -> &mut Self {
        if !self.0.ends_with('[') {
            self.0.push(',');
        }
        match value.into() {
            Value::Number(number) => drop(write!(self.0, "{number}")),
            // A text knows nothing of a connection.
            Value::Null | Value::Database => self.0.push_str("null"),
            Value::Bytes(bytes) => {
                self.0.push('"');
                hexadecimal(&mut self.0, bytes);
                self.0.push('"');
            }
        }
        self
    }

    fn end(&mut self) {
        self.0.push(']');
    }

    fn finish(mut self) -> String {
        self.end();
        self.0
    }
}

impl MySql {
    /// Calls of one key each.
    pub(super) async fn claim_together(
        &self,
        connection: &mut MySqlConnection,
        requests: &[&LeaseRequest],
    ) -> Result<Vec<Claimed>, Failure> {
        let names: Vec<_> = requests.iter().map(|request| name::column(&request.key)).collect();
        let mut order: Vec<_> = (0..requests.len()).collect();
        order.sort_by_key(|&at| &names[at]);
        // Whole milliseconds, so it does not matter where they are added.
        let offset = self.offset();
        let mut arrays = Arrays::new();
        for at in order {
            let request = requests[at];
            arrays.begin();
            arrays.value(&names[at]).value(request.attempt_id.as_bytes());
            arrays.value(on_interrupted_code(request.on_interrupted));
            arrays.value(request.fingerprint.map(|print| print.to_bytes()).as_ref());
            arrays.value(rules::length(request.lease) + offset);
            arrays.value(keep(request).map(|keep| keep + offset)).end();
        }
        let rows = sqlx::query(CLAIM)
            .bind(offset * 1000)
            .bind(arrays.finish())
            .fetch_all(connection)
            .await?;
        let found: HashMap<&[u8], &MySqlRow> =
            rows.iter().map(|row| Ok((row.try_get(2)?, row))).collect::<Result<_, Failure>>()?;
        let claimed = requests.iter().zip(&names).map(|(request, name)| {
            // Without the floor nothing is written.
            let row = found.get(&**name).ok_or_else(|| Failure::Corrupt(NO_FLOOR.to_owned()))?;
            let Met::There { micros, record } = met(row)? else { return Ok(Claimed::Unclear) };
            let now = self.now(micros);
            if is_taken(request, &record, now) {
                let lease = record.lease(&request.key);
                return Ok(Claimed::Answered(Acquired::Leases(vec![lease])));
            }
            Ok(match rules::occupant(Some(&record), request, now) {
                Some(met) => Claimed::Answered(Acquired::Occupied(met)),
                None => Claimed::Unclear,
            })
        });
        claimed.collect()
    }

    /// Whether every record was changed. Where one was not, nothing says which.
    pub(super) async fn apply_together(
        &self,
        connection: &mut MySqlConnection,
        updates: &[&(Lease, Update)],
    ) -> Result<bool, Failure> {
        let names: Vec<_> = updates.iter().map(|(lease, _)| name::column(&lease.key)).collect();
        let mut order: Vec<_> = (0..updates.len()).collect();
        order.sort_by_key(|&at| &names[at]);
        let offset = self.offset();
        let mut arrays = Arrays::new();
        for at in order {
            let (lease, update) = updates[at];
            let Wanted { state, length, keep, outcome } = Wanted::of(update);
            arrays.begin();
            arrays.value(&names[at]).value(columns::column(lease.token)).value(state);
            arrays.value(outcome.map(|outcome| i64::from(outcome.code())));
            arrays.value(outcome.map(|outcome| outcome.payload()));
            arrays.value(length + offset).value(length.saturating_add(keep) + offset).end();
        }
        let done = sqlx::query(UPDATE)
            .bind(arrays.finish())
            .bind(offset)
            .bind(SLACK)
            .execute(connection)
            .await?;
        Ok(done.rows_affected() == updates.len() as u64)
    }
}
