//! What a store keeps of a key, as others see it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Fingerprint, Key, Token};

/// The largest outcome that is stored: 1 MiB.
pub(crate) const MAX_OUTCOME_BYTES: usize = 1 << 20;

/// The stored outcome of a completed call.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredOutcome {
    /// The encoded `Ok` value.
    Value(Arc<[u8]>),
    /// The encoded `Err` value, which the caller chose to remember.
    Error(Arc<[u8]>),
    /// The call completed, but its outcome could not be stored (too large, or not serializable).
    Absent,
    /// The store holds something that this release does not know.
    Foreign,
}

impl StoredOutcome {
    /// The number by which stores tell the kinds apart.
    pub fn code(&self) -> u8 {
        match self {
            Self::Value(_) => 0,
            Self::Error(_) => 1,
            Self::Absent => 2,
            Self::Foreign => u8::MAX,
        }
    }

    /// The encoded outcome; empty where there is none.
    pub fn payload(&self) -> &[u8] {
        match self {
            Self::Value(bytes) | Self::Error(bytes) => bytes,
            Self::Absent | Self::Foreign => &[],
        }
    }

    /// The outcome that was stored with this code and payload.
    pub fn from_parts(code: u8, payload: impl Into<Arc<[u8]>>) -> Self {
        match code {
            0 => Self::Value(payload.into()),
            1 => Self::Error(payload.into()),
            2 => Self::Absent,
            _ => Self::Foreign,
        }
    }
}

/// Names the kind and the size: an outcome's content may be secret.
impl fmt::Debug for StoredOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Value(_) => "Value",
            Self::Error(_) => "Error",
            Self::Absent => "Absent",
            Self::Foreign => "Foreign",
        };
        write!(f, "{kind}({} bytes)", self.payload().len())
    }
}

/// What stands in the way of an acquire.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Occupant {
    /// The occupied key.
    pub key: Key,
    /// The token of the record.
    pub token: Token,
    /// The fingerprint the record was taken with.
    pub fingerprint: Option<Fingerprint>,
    /// What the record is doing.
    pub state: RecordState,
}

impl Occupant {
    /// The record of `key`.
    pub fn new(
        key: Key,
        token: Token,
        fingerprint: Option<Fingerprint>,
        state: RecordState,
    ) -> Self {
        Self { key, token, fingerprint, state }
    }
}

/// The states of a record that keep others out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordState {
    /// Somebody holds it.
    InProgress {
        /// How long until the lease expires, unless it is renewed.
        remaining: Duration,
    },
    /// It has an outcome.
    Completed {
        /// What to replay.
        outcome: StoredOutcome,
        /// How long ago it was stored.
        age: Duration,
        /// How long it still replays; zero if the store cannot tell, never more than it is.
        remaining: Duration,
    },
    /// Its holder vanished, and it may not simply be taken over: it is held back for someone to
    /// resolve, or it was taken with another fingerprint than the request carries.
    Interrupted,
}
