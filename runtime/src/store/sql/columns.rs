//! What the columns of the records mean: the same numbers and bytes in every database.

use crate::store::record::{Record, State};
use crate::store::{AttemptId, Fingerprint, OnInterrupted, StoredOutcome, Token};

/// The first token that some reader could not hold exactly.
pub(super) const TOKEN_LIMIT: i64 = 1 << 53;

/// The numbers by which the column `state` tells the states apart.
pub(super) const IN_PROGRESS: i64 = 0;
pub(super) const COMPLETED: i64 = 1;
pub(super) const INTERRUPTED: i64 = 2;
pub(super) const FREE: i64 = 3;

/// A row as it was read, with its numbers widened.
#[derive(Debug)]
pub(super) struct Columns<'row> {
    pub(super) token: i64,
    pub(super) attempt_id: &'row [u8],
    pub(super) state: i64,
    pub(super) attempt: i64,
    pub(super) on_interrupted: i64,
    pub(super) fingerprint: Option<&'row [u8]>,
    pub(super) expires_at: i64,
    pub(super) completed_at: Option<i64>,
    pub(super) outcome_code: Option<i64>,
    pub(super) outcome: Option<&'row [u8]>,
}

impl Columns<'_> {
    /// The record that the row holds.
    ///
    /// # Errors
    /// What cannot be understood about it.
    pub(super) fn record(self) -> Result<Record, String> {
        Ok(Record {
            token: token(self.token)?,
            attempt_id: attempt_id(self.attempt_id)?,
            attempt: within(self.attempt, "attempt")?,
            on_interrupted: on_interrupted(self.on_interrupted)?,
            fingerprint: self.fingerprint.map(fingerprint).transpose()?,
            expires_at: self.expires_at,
            state: self.state()?,
        })
    }

    fn state(&self) -> Result<State, String> {
        match self.state {
            IN_PROGRESS => Ok(State::InProgress),
            COMPLETED => {
                let at = self.completed_at.ok_or("a completed record is incomplete")?;
                Ok(State::Completed { outcome: self.outcome()?, at })
            }
            INTERRUPTED => Ok(State::Interrupted),
            FREE => Ok(State::Free),
            unknown => Err(format!("there is no state {unknown}")),
        }
    }

    fn outcome(&self) -> Result<StoredOutcome, String> {
        let code = self.outcome_code.ok_or("a completed record is incomplete")?;
        // A code of a later release is foreign and not corrupt: the record is whole.
        let code = u8::try_from(code).unwrap_or(u8::MAX);
        match (StoredOutcome::from_parts(code, self.outcome.unwrap_or_default()), self.outcome) {
            (StoredOutcome::Value(_) | StoredOutcome::Error(_), None) => {
                Err("a completed record has no outcome".to_owned())
            }
            (outcome, _) => Ok(outcome),
        }
    }
}

/// The state with this number, without an outcome: what an update does hangs on the state alone.
///
/// # Errors
/// If there is no such state.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) fn state_alone(code: i64) -> Result<State, String> {
    match code {
        IN_PROGRESS => Ok(State::InProgress),
        COMPLETED => Ok(State::Completed { outcome: StoredOutcome::Absent, at: 0 }),
        INTERRUPTED => Ok(State::Interrupted),
        FREE => Ok(State::Free),
        unknown => Err(format!("there is no state {unknown}")),
    }
}

/// The number of a state.
pub(super) fn code(state: &State) -> i64 {
    match state {
        State::InProgress => IN_PROGRESS,
        State::Completed { .. } => COMPLETED,
        State::Interrupted => INTERRUPTED,
        State::Free => FREE,
    }
}

/// The token as the column holds it. One that no column can hold matches no record.
pub(super) fn column(token: Token) -> i64 {
    i64::try_from(token.value()).unwrap_or(-1)
}

/// The number by which the column `on_interrupted` tells the choices apart.
pub(super) fn on_interrupted_code(choice: OnInterrupted) -> i64 {
    match choice {
        OnInterrupted::Rerun => 0,
        OnInterrupted::Hold => 1,
    }
}

/// The token in a column.
///
/// # Errors
/// If it is none.
pub(super) fn token(value: i64) -> Result<Token, String> {
    if value >= TOKEN_LIMIT {
        return Err(format!("{value} is too large for a token"));
    }
    Ok(Token::new(within(value, "token")?))
}

fn attempt_id(bytes: &[u8]) -> Result<AttemptId, String> {
    let id = bytes.try_into().map(AttemptId::from_bytes);
    id.map_err(|_| format!("an attempt id has 16 bytes, not {}", bytes.len()))
}

fn fingerprint(bytes: &[u8]) -> Result<Fingerprint, String> {
    Fingerprint::from_bytes(bytes).ok_or_else(|| {
        format!("a fingerprint has {} bytes, not {}", Fingerprint::BYTES, bytes.len())
    })
}

fn on_interrupted(value: i64) -> Result<OnInterrupted, String> {
    match value {
        0 => Ok(OnInterrupted::Rerun),
        1 => Ok(OnInterrupted::Hold),
        unknown => Err(format!("there is no choice {unknown} for interruptions")),
    }
}

fn within<T: TryFrom<i64>>(value: i64, column: &str) -> Result<T, String> {
    T::try_from(value).map_err(|_| format!("{value} is no {column}"))
}
