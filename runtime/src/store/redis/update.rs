//! Changing records: the arguments of the script, and what its answer means.

use std::time::Duration;

use redis::{Cmd, Value};

use super::error::Failure;
use super::layout::TokenText;
use super::script::{By, Script, millis};
use crate::store::record::{ABANDONED, TOMBSTONE};
use crate::store::{Lease, Update, Updated};

/// An outcome that is over is over by its record; the server may delete it a little later.
const SPARE: Duration = Duration::from_secs(1);

// The scripts are told how long to keep a record, and count back from it to when it ends. How long to
// keep what was given back they know.
const _: () = assert!(ABANDONED.as_millis() == 86_400_000 && SPARE.as_millis() == 1_000);
const _: () = assert!(TOMBSTONE.as_millis() == 60_000);

/// How many arguments the script takes for each update; that of many calls takes one less.
pub(super) const ARGUMENTS: usize = 4;

/// The call that applies every update for itself.
pub(super) fn command(by: By<'_>, updates: &[(Lease, Update)], offset: i64) -> Cmd {
    let outcomes = updates.iter().map(|(_, update)| outcome(update).len()).sum();
    let mut command = Script::call(by, updates.len(), ARGUMENTS, outcomes);
    for (lease, _) in updates {
        command.arg(lease.key.as_str());
    }
    match updates {
        [first, others @ ..] if offset == 0 && are_usual(first, others) => {
            command.arg(TokenText(first.0.token));
            if let Update::Complete { .. } = &first.1 {
                let (_, keep) = parts(&first.1);
                command.arg(keep).arg(outcome(&first.1));
            }
            for (lease, _) in others {
                command.arg(TokenText(lease.token));
            }
        }
        _ => updates.iter().for_each(|update| arguments(&mut command, update)),
    }
    Script::end(&mut command, offset);
    command
}

/// Whether the script knows from the number of its arguments what to do: a value for the first or
/// its release, and the release of others.
fn are_usual((first, update): &(Lease, Update), others: &[(Lease, Update)]) -> bool {
    let is_usual = match update {
        Update::Release => true,
        Update::Complete { outcome, .. } => outcome.code() == 0,
        Update::Renew { .. } | Update::Interrupt => false,
    };
    let is_released = |(lease, update): &(Lease, Update)| {
        matches!(update, Update::Release) && lease.key != first.key
    };
    is_usual && others.iter().all(is_released)
}

/// What the script takes for each update.
fn arguments(command: &mut Cmd, (lease, update): &(Lease, Update)) {
    let (what, keep) = parts(update);
    command.arg(TokenText(lease.token)).arg([what].as_slice()).arg(keep).arg(outcome(update));
}

/// The same but for what to do, which the script of many calls is told apart, by a letter.
pub(super) fn arguments_of_many(command: &mut Cmd, (lease, update): &(Lease, Update)) {
    let (_, keep) = parts(update);
    command.arg(TokenText(lease.token)).arg(keep).arg(outcome(update));
}

/// What to do.
pub(super) fn letter(update: &Update) -> u8 {
    parts(update).0
}

/// What to do, and for how many ms the record is kept.
fn parts(update: &Update) -> (u8, i64) {
    match update {
        Update::Renew { lease } => (b'r', millis(lease.saturating_add(ABANDONED))),
        Update::Complete { outcome, retention } => {
            // A word of one letter, as all others.
            let code = if outcome.code() < 10 { b'0' + outcome.code() } else { b'?' };
            (code, millis(retention.saturating_add(SPARE)))
        }
        Update::Release => (b'f', millis(TOMBSTONE)),
        Update::Interrupt => (b'i', millis(ABANDONED)),
    }
}

/// The outcome's bytes; none of an update that has no outcome.
pub(super) fn outcome(update: &Update) -> &[u8] {
    match update {
        Update::Complete { outcome, .. } => outcome.payload(),
        Update::Renew { .. } | Update::Release | Update::Interrupt => &[],
    }
}

/// What the script answered.
///
/// A record that cannot be understood is an error where it is asked for alone. Among others it says
/// [`Updated::Lost`]: the leases that are renewed beside it must not be lost with it.
pub(super) fn answer(updates: &[(Lease, Update)], answer: Value) -> Result<Vec<Updated>, Failure> {
    let answers = match answer {
        Value::Int(1) => return Ok(vec![Updated::Applied; updates.len()]),
        Value::Array(answers) => answers,
        alone => vec![alone],
    };
    if answers.len() != updates.len() {
        return Err(Failure::odd("update"));
    }
    let alone = answers.iter().all(|answer| *answer == Value::Int(-1));
    let one = |((lease, _), answer): (&(Lease, Update), &Value)| match answer {
        Value::Int(1) => Ok(Updated::Applied),
        Value::Int(0) => Ok(Updated::Lost),
        Value::Int(-1) => {
            let key = lease.key.as_str();
            if alone {
                let what = format!("`{key}` holds no record of this release");
                return Err(Failure::Corrupt(what));
            }
            tracing::error!(key, "the record was overwritten by something else, its lease is lost");
            Ok(Updated::Lost)
        }
        _ => Err(Failure::odd("update")),
    };
    updates.iter().zip(&answers).map(one).collect()
}
