//! Records as Redis keeps them, understood.

use std::ops::Range;

use redis::{RedisWrite, ToRedisArgs};

use crate::store::record::{Record, State};
use crate::store::{AttemptId, Fingerprint, OnInterrupted, StoredOutcome, Token};

/// The first token that some reader could not hold exactly.
const TOKEN_LIMIT: u64 = 1 << 53;

/// Where the words of a record's first line are; the attempt follows, up to the end of the line.
const VERSION: usize = 0;
const STATE: usize = 2;
const CHOICE: usize = 4;
const NOTE: usize = 6;
const PRINT: usize = 8;
const TOKEN: Range<usize> = 10..26;
const EXPIRES: Range<usize> = 27..40;
const SINCE: Range<usize> = 41..54;
const ATTEMPT: usize = 55;
const SPACES: [usize; 8] = [1, 3, 5, 7, 9, 26, 40, 54];

/// The record in these bytes, or what is wrong with them.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or("it has no first line")?;
    let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
    let whole = end > ATTEMPT && line[VERSION] == b'1';
    if !whole || SPACES.iter().any(|&space| line[space] != b' ') {
        return Err(format!("its first line is `{}`", String::from_utf8_lossy(line)));
    }
    let (attempt_id, rest) = match line[STATE] {
        b'p' | b'g' => split(rest, "attempt id")?,
        // Nobody asks whose it was.
        _ => ([0; 16], rest),
    };
    let (fingerprint, rest) = match line[PRINT] {
        b'f' => {
            let (bytes, rest) = split::<{ Fingerprint::BYTES }>(rest, "fingerprint")?;
            (Fingerprint::from_bytes(&bytes), rest)
        }
        b'-' => (None, rest),
        unknown => return Err(unknown_word("fingerprint", unknown)),
    };
    let state = match line[STATE] {
        b'p' | b'g' => State::InProgress,
        b'i' => State::Interrupted,
        b'c' => {
            let code = match line[NOTE] {
                digit @ b'0'..=b'9' => digit - b'0',
                unknown @ (b'-' | b'w' | b'l') => return Err(unknown_word("outcome", unknown)),
                // One of a later release is foreign and not corrupt: the record is whole.
                _ => u8::MAX,
            };
            let outcome = StoredOutcome::from_parts(code, rest);
            State::Completed { outcome, at: number(&line[SINCE], "time")? }
        }
        unknown => return Err(unknown_word("state", unknown)),
    };
    if !matches!(state, State::Completed { .. }) && !rest.is_empty() {
        return Err(format!("{} bytes follow it", rest.len()));
    }
    let token = number(&line[TOKEN], "token")?;
    if token >= TOKEN_LIMIT {
        return Err(format!("{token} is too large for a token"));
    }
    Ok(Record {
        token: Token::new(token),
        attempt_id: AttemptId::from_bytes(attempt_id),
        attempt: number(&line[ATTEMPT..], "attempt")?,
        on_interrupted: match line[CHOICE] {
            b'r' => OnInterrupted::Rerun,
            b'h' => OnInterrupted::Hold,
            unknown => return Err(unknown_word("choice for interruptions", unknown)),
        },
        fingerprint,
        expires_at: number(&line[EXPIRES], "time")?,
        state,
    })
}

/// A token as it stands in a record.
pub(super) struct TokenText(pub(super) Token);

impl ToRedisArgs for TokenText {
    fn write_redis_args<W: RedisWrite + ?Sized>(&self, command: &mut W) {
        command.write_arg_fmt(format_args!("{:016}", self.0.value()));
    }
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

pub(super) fn number<T: std::str::FromStr>(word: &[u8], what: &str) -> Result<T, String> {
    let text = std::str::from_utf8(word).ok().filter(|text| !text.starts_with(['+', '-']));
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("`{}` is no {what}", String::from_utf8_lossy(word)))
}

fn unknown_word(what: &str, unknown: u8) -> String {
    format!("there is no {what} `{}`", unknown.escape_ascii())
}
