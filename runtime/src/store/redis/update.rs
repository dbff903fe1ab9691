//! Changing records: the arguments of the script, and what its answer means.

use std::time::Duration;

use redis::{Cmd, Value};

use super::error::Failure;
use super::layout::token_text;
use super::script::{By, Script, millis};
use crate::store::record::{ABANDONED, TOMBSTONE};
use crate::store::{Lease, Update, Updated};

/// An outcome that is over is over by its record; the server may delete it a little later.
const SPARE: Duration = Duration::from_secs(1);

/// The call that applies every update for itself.
pub(super) fn command(by: By<'_>, updates: &[(Lease, Update)], offset: i64) -> Cmd {
    let mut command = Script::call(by, updates.len(), 5);
    for (lease, _) in updates {
        command.arg(lease.key.as_str());
    }
    for update in updates {
        arguments(&mut command, update);
    }
    Script::end(&mut command, offset);
    command
}

/// What the script takes for each update.
pub(super) fn arguments(command: &mut Cmd, (lease, update): &(Lease, Update)) {
    command.arg(token_text(lease.token));
    let (length, kept, outcome) = match update {
        Update::Renew { lease } => {
            command.arg("r");
            (*lease, lease.saturating_add(ABANDONED), &[][..])
        }
        Update::Complete { outcome, retention } => {
            // A word of one letter, as all others.
            let code = char::from_digit(outcome.code().into(), 10).unwrap_or('?');
            command.arg(code.encode_utf8(&mut [0; 4]).as_bytes());
            (*retention, retention.saturating_add(SPARE), outcome.payload())
        }
        Update::Release => {
            command.arg("f");
            (Duration::ZERO, TOMBSTONE, &[][..])
        }
        Update::Interrupt => {
            command.arg("i");
            (Duration::ZERO, ABANDONED, &[][..])
        }
    };
    command.arg(millis(length)).arg(millis(kept)).arg(outcome);
}

/// What the script answered.
///
/// A record that cannot be understood is an error where it is asked for alone. Among others it says
/// [`Updated::Lost`]: the leases that are renewed beside it must not be lost with it.
pub(super) fn answer(updates: &[(Lease, Update)], answer: Value) -> Result<Vec<Updated>, Failure> {
    let answers = match answer {
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
