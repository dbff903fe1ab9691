//! Taking keys: the arguments of the script, and what its answer means.

use redis::{Cmd, Value};

use super::error::Failure;
use super::layout::decode;
use super::script::{Script, TOKENS, millis};
use crate::store::record::{ABANDONED, Record, Standing};
use crate::store::{Acquired, Fingerprint, Lease, LeaseRequest, OnInterrupted, Token};

/// The call that takes every key, or none; the tokens are counted at the key `counter`.
pub(super) fn command(sha: &str, counter: &str, requests: &[LeaseRequest], offset: i64) -> Cmd {
    let mut command = Script::call(sha, requests.len() + 1);
    command.arg(counter);
    for request in requests {
        command.arg(request.key.as_str());
    }
    for request in requests {
        let fingerprint = request.fingerprint.map(|fingerprint| fingerprint.to_bytes());
        let choice = match (request.on_interrupted, request.resolve) {
            (OnInterrupted::Rerun, false) => "r",
            (OnInterrupted::Rerun, true) => "R",
            (OnInterrupted::Hold, false) => "h",
            (OnInterrupted::Hold, true) => "H",
        };
        command
            .arg(millis(request.lease))
            .arg(millis(request.lease.saturating_add(ABANDONED)))
            .arg(request.attempt_id.as_bytes().as_slice())
            .arg(fingerprint.as_ref().map_or(&[][..], <[u8; Fingerprint::BYTES]>::as_slice))
            .arg(choice);
    }
    Script::end(&mut command, offset);
    command
}

/// What the script answered.
pub(super) fn answer(requests: &[LeaseRequest], answer: Value) -> Result<Acquired, Failure> {
    let Value::Array(answer) = answer else { return Err(Failure::odd("acquire")) };
    match &answer[..] {
        [Value::Int(0), granted @ ..] => leases(requests, granted),
        [Value::Int(-1), Value::Int(place)] => {
            let key = requested(requests, *place)?.key.as_str();
            Err(Failure::Corrupt(format!("`{key}` holds no record of this release")))
        }
        [Value::Int(-2)] => {
            Err(Failure::Corrupt(format!("`{TOKENS}` is no count, or cannot go on")))
        }
        [Value::Int(place), Value::Int(now), Value::BulkString(record)] => {
            let request = requested(requests, *place)?;
            let key = request.key.as_str();
            let record =
                decode(record).map_err(|what| Failure::Corrupt(format!("`{key}`: {what}")))?;
            match Record::standing(Some(&record), request, *now) {
                Standing::Occupied(occupant) => Ok(Acquired::Occupied(occupant)),
                Standing::Free { .. } | Standing::Own(_) => Err(Failure::odd("acquire")),
            }
        }
        _ => Err(Failure::odd("acquire")),
    }
}

fn leases(requests: &[LeaseRequest], granted: &[Value]) -> Result<Acquired, Failure> {
    if granted.len() != 2 * requests.len() {
        return Err(Failure::odd("acquire"));
    }
    let lease = |(request, granted): (&LeaseRequest, &[Value])| {
        let [Value::Int(token), Value::Int(attempt)] = granted else {
            return Err(Failure::odd("acquire"));
        };
        let odd = |_| Failure::odd("acquire");
        let token = Token::new(u64::try_from(*token).map_err(odd)?);
        Ok(Lease::new(request.key.clone(), token, u32::try_from(*attempt).map_err(odd)?))
    };
    let leases: Result<_, _> = requests.iter().zip(granted.chunks(2)).map(lease).collect();
    Ok(Acquired::Leases(leases?))
}

fn requested(requests: &[LeaseRequest], place: i64) -> Result<&LeaseRequest, Failure> {
    let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
    index.and_then(|index| requests.get(index)).ok_or_else(|| Failure::odd("acquire"))
}
