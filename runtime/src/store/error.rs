//! How a store says that it cannot tell.

use std::error::Error as StdError;

use crate::model::{Error, ErrorKind, Updated};

/// Why a store could not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Not reached, not answered in time, or refused for now: trying again may help.
    Unavailable,
    /// Reached, but not a store that this release can use: a foreign file, a newer schema, missing
    /// rights. Trying again does not help.
    Unsupported,
    /// A record is there that cannot be understood.
    Corrupt,
    /// A transaction that a call joined met another one and must be begun again.
    Conflict,
}

/// The error of a store operation.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
    answers: Vec<Option<Updated>>,
}

impl StoreError {
    /// An error of this kind; `message` says what to do where something can be done.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None, answers: Vec::new() }
    }

    /// The same error with its cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error of an update, with the answers to those that the store can tell of: a store
    /// in several servers misses one of them, and the others have done their part.
    pub fn with_answers(mut self, answers: Vec<Option<Updated>>) -> Self {
        self.answers = answers;
        self
    }

    /// What is known of each update all the same, in their order; empty if nothing is.
    pub fn answers(&self) -> &[Option<Updated>] {
        &self.answers
    }

    /// Why the store could not answer.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let (kind, message) = match error.kind {
            StoreErrorKind::Unavailable => {
                (ErrorKind::StoreUnavailable, "the store cannot be reached")
            }
            StoreErrorKind::Unsupported => {
                (ErrorKind::StoreUnsupported, "this store cannot be used")
            }
            StoreErrorKind::Conflict => {
                (ErrorKind::Conflict, "the transaction met another one and must be begun again")
            }
            StoreErrorKind::Corrupt => (ErrorKind::Unreadable, "a record cannot be understood"),
        };
        Self::new(kind, message).with_source(error)
    }
}
