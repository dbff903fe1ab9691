//! Changing records: the arguments of the script, and what its answer means.

use redis::{Cmd, Value};

use super::error::Failure;
use super::script::{Script, millis};
use crate::store::{Lease, Update, Updated};

/// The call that applies every update for itself.
pub(super) fn command(sha: &str, updates: &[(Lease, Update)], offset: i64) -> Cmd {
    let mut command = Script::call(sha, updates.len());
    for (lease, _) in updates {
        command.arg(lease.key.as_str());
    }
    for (lease, update) in updates {
        command.arg(lease.token.value());
        match update {
            Update::Renew { lease } => command.arg("r").arg(millis(*lease)).arg(""),
            Update::Complete { outcome, retention } => {
                command.arg(outcome.code()).arg(millis(*retention)).arg(outcome.payload())
            }
            Update::Release => command.arg("f").arg(0).arg(""),
            Update::Interrupt => command.arg("i").arg(0).arg(""),
        };
    }
    Script::end(&mut command, offset);
    command
}

/// What the script answered.
///
/// A record that cannot be understood is an error where it is asked for alone. Among others it says
/// [`Updated::Lost`]: the leases that are renewed beside it must not be lost with it.
pub(super) fn answer(updates: &[(Lease, Update)], answer: Value) -> Result<Vec<Updated>, Failure> {
    let Value::Array(answers) = answer else { return Err(Failure::odd("update")) };
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
