//! Taking keys: the arguments of the script, and what its answer means.

use redis::{Cmd, Value};

use super::error::Failure;
use super::layout::{decode, number};
use super::script::{By, Script, TOKENS, millis};
use crate::store::record::{ABANDONED, Record, SPARE_TOKENS, Standing};
use crate::store::{Acquired, Fingerprint, Lease, LeaseRequest, OnInterrupted, Token};

/// How many arguments the script takes for each key.
const ARGUMENTS: usize = 3;
/// How many digits a time has, in ms since 1970.
const TIME: usize = 13;
/// From one token to the next.
const STRIDE: u64 = SPARE_TOKENS + 1;

/// The call that takes every key, or none; the tokens are counted at the key `counter`.
pub(super) fn command(by: By<'_>, counter: &str, requests: &[LeaseRequest], offset: i64) -> Cmd {
    let mut command = Script::call(by, requests.len() + 1, ARGUMENTS, 0);
    command.arg(counter);
    for request in requests {
        command.arg(request.key.as_str());
    }
    match requests {
        // What nearly all choose need not be said, nor what all have in common.
        [first, ..]
            if offset == 0 && requests.iter().all(|other| is_usual_beside(first, other)) =>
        {
            command.arg(keep(first));
            requests.iter().for_each(|request| mine(&mut command, request));
        }
        _ => requests.iter().for_each(|request| arguments(&mut command, request)),
    }
    Script::end(&mut command, offset);
    command
}

fn is_usual_beside(first: &LeaseRequest, other: &LeaseRequest) -> bool {
    letter(other) == b'r' && other.lease == first.lease
}

/// What the script takes for each key.
fn arguments(command: &mut Cmd, request: &LeaseRequest) {
    wish(command, request);
    command.arg([letter(request)].as_slice());
}

/// The same but for the choice, which the script of many calls is told apart.
pub(super) fn wish(command: &mut Cmd, request: &LeaseRequest) {
    command.arg(keep(request));
    mine(command, request);
}

/// For how many ms the record is kept.
fn keep(request: &LeaseRequest) -> i64 {
    millis(request.lease.saturating_add(ABANDONED))
}

/// The attempt's id with the fingerprint.
fn mine(command: &mut Cmd, request: &LeaseRequest) {
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
    command.arg(&mine[..length]);
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
        Value::BulkString(text) => {
            return match text.split_first() {
                Some((b'=', rest)) if rest.len() > TIME => {
                    let (now, record) = rest.split_at(TIME);
                    occupied(requested(requests, 1)?, time(now)?, record)
                }
                _ => leases(requests, &text),
            };
        }
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
            let now = match now {
                Value::Int(now) => *now,
                Value::BulkString(now) => time(now)?,
                _ => return Err(odd()),
            };
            occupied(request, now, record)
        }
        _ => Err(odd()),
    }
}

/// By a record, as of a time.
fn occupied(request: &LeaseRequest, now: i64, record: &[u8]) -> Result<Acquired, Failure> {
    let key = request.key.as_str();
    let record = decode(record).map_err(|what| Failure::Corrupt(format!("`{key}`: {what}")))?;
    match Record::standing(Some(&record), request, now) {
        Standing::Occupied(occupant) => Ok(Acquired::Occupied(occupant)),
        Standing::Free { .. } | Standing::Own(_) => Err(odd()),
    }
}

/// The leases from their tokens and attempts, in one text. A token alone is that of the first key:
/// each is a first attempt then, and has the next token.
fn leases(requests: &[LeaseRequest], granted: &[u8]) -> Result<Acquired, Failure> {
    let lease = |request: &LeaseRequest, token: u64, attempt: u32| {
        Lease::new(request.key.clone(), Token::new(token), attempt)
    };
    let mut leases = Vec::with_capacity(requests.len());
    if !granted.contains(&b' ') {
        let mut token: u64 = number(granted, "token").map_err(|_| odd())?;
        for request in requests {
            leases.push(lease(request, token, 1));
            token = token.checked_add(STRIDE).ok_or_else(odd)?;
        }
        return Ok(Acquired::Leases(leases));
    }
    let mut words = granted.split(|byte| *byte == b' ');
    let mut word = || words.next().ok_or_else(odd);
    for request in requests {
        let token = number(word()?, "token").map_err(|_| odd())?;
        let attempt = number(word()?, "attempt").map_err(|_| odd())?;
        leases.push(lease(request, token, attempt));
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

fn time(text: &[u8]) -> Result<i64, Failure> {
    number(text, "time").map_err(|_| odd())
}

fn odd() -> Failure {
    Failure::odd("acquire")
}
