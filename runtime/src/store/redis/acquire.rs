//! Taking keys: the arguments of the script, and what its answer means.

use redis::{Cmd, Value};

use super::error::Failure;
use super::layout::{decode, number};
use super::script::{By, Script, TOKENS, millis};
use crate::store::record::{ABANDONED, Record, Standing};
use crate::store::{Acquired, Fingerprint, Lease, LeaseRequest, OnInterrupted, Token};

/// How many arguments the script takes for each key.
const ARGUMENTS: usize = 3;

/// The call that takes every key, or none; the tokens are counted at the key `counter`.
pub(super) fn command(by: By<'_>, counter: &str, requests: &[LeaseRequest], offset: i64) -> Cmd {
    let mut command = Script::call(by, requests.len() + 1, ARGUMENTS, 0);
    command.arg(counter);
    for request in requests {
        command.arg(request.key.as_str());
    }
    match requests {
        // What nearly all choose need not be said of one key.
        [request] if letter(request) == b'r' && offset == 0 => wish(&mut command, request),
        _ => requests.iter().for_each(|request| arguments(&mut command, request)),
    }
    Script::end(&mut command, offset);
    command
}

/// What the script takes for each key.
fn arguments(command: &mut Cmd, request: &LeaseRequest) {
    wish(command, request);
    command.arg([letter(request)].as_slice());
}

/// The same but for the choice, which the script of many calls is told apart.
pub(super) fn wish(command: &mut Cmd, request: &LeaseRequest) {
    const ID: usize = 16;
    let mut mine = [0; ID + Fingerprint::BYTES];
    mine[..ID].copy_from_slice(request.attempt_id.as_bytes());
    let length = match request.fingerprint {
        Some(fingerprint) => {
            mine[ID..].copy_from_slice(&fingerprint.to_bytes());
            mine.len()
        }
        None => ID,
    };
    command.arg(millis(request.lease.saturating_add(ABANDONED))).arg(&mine[..length]);
}

/// The choice for interruptions.
pub(super) fn letter(request: &LeaseRequest) -> u8 {
    match (request.on_interrupted, request.resolve) {
        (OnInterrupted::Rerun, false) => b'r',
        (OnInterrupted::Rerun, true) => b'R',
        (OnInterrupted::Hold, false) => b'h',
        (OnInterrupted::Hold, true) => b'H',
    }
}

/// What the script answered.
pub(super) fn answer(requests: &[LeaseRequest], answer: Value) -> Result<Acquired, Failure> {
    let answer = match answer {
        Value::BulkString(granted) => return leases(requests, &granted),
        Value::Array(answer) => answer,
        _ => return Err(odd()),
    };
    match &answer[..] {
        [Value::Int(-1), Value::Int(place)] => {
            let key = requested(requests, *place)?.key.as_str();
            Err(Failure::Corrupt(format!("`{key}` holds no record of this release")))
        }
        [Value::Int(-2)] => {
            Err(Failure::Corrupt(format!("`{TOKENS}` is no count, or cannot go on")))
        }
        [Value::Int(place), now, Value::BulkString(record)] => {
            let request = requested(requests, *place)?;
            let key = request.key.as_str();
            let now = match now {
                Value::Int(now) => *now,
                Value::BulkString(now) => number(now, "time").map_err(|_| odd())?,
                _ => return Err(odd()),
            };
            let record =
                decode(record).map_err(|what| Failure::Corrupt(format!("`{key}`: {what}")))?;
            match Record::standing(Some(&record), request, now) {
                Standing::Occupied(occupant) => Ok(Acquired::Occupied(occupant)),
                Standing::Free { .. } | Standing::Own(_) => Err(odd()),
            }
        }
        _ => Err(odd()),
    }
}

/// The leases from their tokens and attempts, in one text. A token alone is that of a first attempt.
fn leases(requests: &[LeaseRequest], granted: &[u8]) -> Result<Acquired, Failure> {
    let mut words = granted.split(|byte| *byte == b' ');
    let mut leases = Vec::with_capacity(requests.len());
    for request in requests {
        let token = number(words.next().ok_or_else(odd)?, "token").map_err(|_| odd())?;
        let attempt = words.next().map_or(Ok(1), |attempt| number(attempt, "attempt"));
        let (token, attempt) = (Token::new(token), attempt.map_err(|_| odd())?);
        leases.push(Lease::new(request.key.clone(), token, attempt));
    }
    if words.next().is_some() {
        return Err(odd());
    }
    Ok(Acquired::Leases(leases))
}

fn requested(requests: &[LeaseRequest], place: i64) -> Result<&LeaseRequest, Failure> {
    let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
    index.and_then(|index| requests.get(index)).ok_or_else(odd)
}

fn odd() -> Failure {
    Failure::odd("acquire")
}
