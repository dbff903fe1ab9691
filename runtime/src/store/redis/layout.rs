//! Records as Redis keeps them, understood.

use crate::store::record::{Record, State};
use crate::store::{AttemptId, Fingerprint, OnInterrupted, StoredOutcome, Token};

/// The first token that some reader could not hold exactly.
const TOKEN_LIMIT: u64 = 1 << 53;

/// The record in these bytes, or what is wrong with them.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
    let line = std::str::from_utf8(line).map_err(|_| "its first line is no text")?;
    let words: Vec<&str> = line.split(' ').collect();
    let ["1", state, choice, token, attempt, expires, since, note, print] = words[..] else {
        return Err(format!("its first line is `{line}`"));
    };
    let (attempt_id, rest) = match state {
        "p" => split(rest, "attempt id")?,
        // Nobody asks whose it was.
        _ => ([0; 16], rest),
    };
    let (fingerprint, rest) = match print {
        "f" => {
            let (bytes, rest) = split::<{ Fingerprint::BYTES }>(rest, "fingerprint")?;
            (Fingerprint::from_bytes(&bytes), rest)
        }
        "-" => (None, rest),
        unknown => return Err(format!("there is no fingerprint `{unknown}`")),
    };
    let token = number(token, "token")?;
    if token >= TOKEN_LIMIT {
        return Err(format!("{token} is too large for a token"));
    }
    Ok(Record {
        token: Token::new(token),
        attempt_id: AttemptId::from_bytes(attempt_id),
        attempt: number(attempt, "attempt")?,
        on_interrupted: match choice {
            "r" => OnInterrupted::Rerun,
            "h" => OnInterrupted::Hold,
            unknown => return Err(format!("there is no choice `{unknown}` for interruptions")),
        },
        fingerprint,
        expires_at: number(expires, "time")?,
        state: match state {
            "p" => State::InProgress,
            "c" => {
                // A code of a later release is foreign and not corrupt: the record is whole.
                let code = number::<u64>(note, "code of an outcome")?;
                let code = u8::try_from(code).unwrap_or(u8::MAX);
                let outcome = StoredOutcome::from_parts(code, rest);
                State::Completed { outcome, at: number(since, "time")? }
            }
            "i" => State::Interrupted,
            "f" => State::Free,
            unknown => return Err(format!("there is no state `{unknown}`")),
        },
    })
}

fn split<'bytes, const LENGTH: usize>(
    bytes: &'bytes [u8],
    what: &str,
) -> Result<([u8; LENGTH], &'bytes [u8]), String> {
    let (first, rest) = bytes
        .split_first_chunk::<LENGTH>()
        .ok_or_else(|| format!("its {what} has {} bytes, not {LENGTH}", bytes.len()))?;
    Ok((*first, rest))
}

fn number<T: std::str::FromStr>(word: &str, what: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is no {what}"))
}
