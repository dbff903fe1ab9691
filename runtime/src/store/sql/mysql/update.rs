//! Renewing, completing and giving back: each write says whose record it is.

use std::collections::HashMap;

use sqlx::mysql::MySqlRow;
use sqlx::{MySqlConnection, Row as _};

use super::super::columns::{self, IN_PROGRESS, INTERRUPTED};
use super::super::failure::Failure;
use super::super::name;
use super::super::wanted::Wanted;
use super::MySql;
use super::text::Text;
use crate::store::record::Effect;
use crate::store::{Lease, Update, Updated};

impl MySql {
    /// One statement for each record in the order of the keys, in one message and one transaction.
    pub(super) async fn apply_all(
        &self,
        connection: &mut MySqlConnection,
        updates: &[&(Lease, Update)],
    ) -> Result<Vec<Option<Updated>>, Failure> {
        let names: Vec<_> = updates.iter().map(|(lease, _)| name::column(&lease.key)).collect();
        let mut order: Vec<_> = (0..updates.len()).collect();
        order.sort_by_key(|&at| &names[at]);
        let mut text = Text::default();
        let before = self.begin(&mut text);
        for &at in &order {
            let (lease, update) = updates[at];
            write(&mut text, &names[at], lease, update);
        }
        // What was not changed is not ours, or was changed before.
        text.add("select token, `key`, state from oncely_records where `key` in (");
        text.list(&names).add("); ");
        self.end(&mut text, "commit");
        let answer = text.send(connection).await?;
        let seen: HashMap<&[u8], &MySqlRow> = answer
            .rows
            .iter()
            .map(|row| Ok((row.try_get(1)?, row)))
            .collect::<Result<_, Failure>>()?;
        let mut answers = vec![Some(Updated::Lost); updates.len()];
        for (&at, changed) in order.iter().zip(answer.changed.iter().skip(before)) {
            let (lease, update) = updates[at];
            if *changed > 0 {
                answers[at] = Some(Updated::Applied);
            } else if let Some(row) = seen.get(&*names[at])
                && row.try_get::<i64, _>(0)? == columns::column(lease.token)
            {
                let state = columns::state_alone(row.try_get::<i8, _>(2)?.into());
                answers[at] = match state.map_err(Failure::Corrupt)?.effect(update) {
                    Effect::Applies => None,
                    Effect::Stands => Some(Updated::Applied),
                    Effect::Lost => Some(Updated::Lost),
                };
            }
        }
        Ok(answers)
    }
}

pub(super) fn write(text: &mut Text, name: &Vec<u8>, lease: &Lease, update: &Update) {
    let Wanted { state, length, keep, outcome } = Wanted::of(update);
    text.add("update oncely_records set expires_at = @oncely_now div 1000 + ").value(length);
    if let Some(outcome) = outcome {
        text.add(", completed_at = @oncely_now div 1000, outcome_code = ");
        text.value(i64::from(outcome.code())).add(", outcome = ").value(outcome.payload());
    }
    text.add(", purge_at = ");
    if state == IN_PROGRESS || state == INTERRUPTED {
        // One that is held back is never deleted.
        text.add("if(on_interrupted = 0, ");
    }
    text.add("@oncely_now div 1000 + ").value(length).add(" + ").value(keep);
    if state == IN_PROGRESS || state == INTERRUPTED {
        text.add(", null)");
    }
    text.add(", state = ").value(state).add(" where `key` = ").value(name);
    text.add(" and token = ").value(columns::column(lease.token)).add(" and state = 0; ");
}
