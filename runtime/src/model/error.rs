//! The one error of the crate, and the questions it answers.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::{Key, Occupant, RecordState};

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A call with this key is still running, and waiting for it took too long.
    InProgress,
    /// The key was used before with other arguments.
    KeyReused,
    /// An earlier call was interrupted half-way and nobody has resolved it.
    Interrupted,
    /// The lease was lost while the body ran; the body was stopped.
    LeaseLost,
    /// The store could not be reached, or did not answer in time.
    StoreUnavailable,
    /// A stored outcome cannot be read back.
    Unreadable,
    /// Another holder kept the lock for longer than the call would wait.
    LockBusy,
    /// The call waits, directly or through its callers, for a key it holds itself.
    WouldDeadlock,
    /// No coordinator is scoped or installed.
    NotInstalled,
    /// Whether the outcome was committed could not be found out.
    Indeterminate,
    /// A key cannot be used: empty, too long, or made from arguments that cannot be rendered.
    InvalidKey,
    /// A coordinator is installed already.
    AlreadyInstalled,
    /// A setting cannot work: an unknown URL, a lease longer than its limit, and the like.
    InvalidConfiguration,
    /// The store was reached, but it is not one that this release can use.
    StoreUnsupported,
    /// The coordinator is shutting down and starts nothing new.
    ShuttingDown,
    /// The transaction that the call joined met another one: roll it back and begin it again.
    Conflict,
}

/// The error of every operation of this crate.
///
/// Opaque on purpose: ask it for its [`kind`](Self::kind), the [`key`](Self::key) it is about,
/// whether it [is retryable](Self::is_retryable) and [how soon](Self::retry_after).
#[derive(Debug)]
pub struct Error(Box<Inner>);

type Source = Box<dyn StdError + Send + Sync>;

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    key: Option<String>,
    retry_after: Option<Duration>,
    waited: Option<Duration>,
    message: String,
    source: Option<Source>,
}

impl Error {
    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The key it went wrong for, as the caller wrote or rendered it.
    pub fn key(&self) -> Option<&str> {
        self.0.key.as_deref()
    }

    /// How long to wait before trying again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How long the call waited before it gave up, for [`ErrorKind::InProgress`] and
    /// [`ErrorKind::LockBusy`].
    pub fn waited(&self) -> Option<Duration> {
        self.0.waited
    }

    /// Whether the same call can succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::InProgress
            | ErrorKind::LeaseLost
            | ErrorKind::StoreUnavailable
            | ErrorKind::LockBusy
            | ErrorKind::Indeterminate
            | ErrorKind::Conflict
            | ErrorKind::ShuttingDown => true,
            ErrorKind::KeyReused
            | ErrorKind::Interrupted
            | ErrorKind::Unreadable
            | ErrorKind::WouldDeadlock
            | ErrorKind::NotInstalled
            | ErrorKind::InvalidKey
            | ErrorKind::AlreadyInstalled
            | ErrorKind::InvalidConfiguration
            | ErrorKind::StoreUnsupported => false,
        }
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            key: None,
            retry_after: None,
            waited: None,
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error, about `key`.
    pub(crate) fn about(mut self, key: &Key) -> Self {
        self.0.key.get_or_insert_with(|| key.name().to_owned());
        self
    }

    pub(crate) fn invalid_key(key: &str, message: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorKind::InvalidKey, message);
        error.0.key = (!key.is_empty()).then(|| key.to_owned());
        error
    }

    pub(crate) fn key_reused(key: &Key) -> Self {
        Self::new(ErrorKind::KeyReused, "the key was used before with other arguments").about(key)
    }

    pub(crate) fn in_progress(occupant: &Occupant, waited: Duration) -> Self {
        Self::occupied(
            ErrorKind::InProgress,
            "a call with this key is still running",
            occupant,
            waited,
        )
    }

    pub(crate) fn lock_busy(occupant: &Occupant, waited: Duration) -> Self {
        Self::occupied(ErrorKind::LockBusy, "the lock is held by another", occupant, waited)
    }

    fn occupied(kind: ErrorKind, what: &str, occupant: &Occupant, waited: Duration) -> Self {
        let mut error = Self::new(kind, format!("{what}, waited {waited:.1?}"));
        error.0.waited = Some(waited);
        if let RecordState::InProgress { remaining } = occupant.state {
            error.0.retry_after = Some(remaining.clamp(SHORTEST_RETRY, LONGEST_RETRY));
        }
        error.about(&occupant.key)
    }

    pub(crate) fn interrupted(key: &Key) -> Self {
        let message = "an earlier call was interrupted half-way and waits to be resolved";
        Self::new(ErrorKind::Interrupted, message).about(key)
    }

    pub(crate) fn lease_lost(key: &Key) -> Self {
        let message = "the lease was lost while the body ran, and the body was stopped";
        Self::new(ErrorKind::LeaseLost, message).about(key)
    }

    pub(crate) fn unreadable(key: &Key, why: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unreadable, why).about(key)
    }

    /// A lock never completes.
    pub(crate) fn not_a_lock(key: &Key) -> Self {
        let why = "the record of this lock is not a lock's; is the namespace shared?";
        Self::unreadable(key, why)
    }

    pub(crate) fn would_deadlock(key: &Key) -> Self {
        let message = "the call waits for a key that it holds itself";
        Self::new(ErrorKind::WouldDeadlock, message).about(key)
    }
}

/// A holder may finish at any moment, so a retry need not wait for the whole lease.
const LONGEST_RETRY: Duration = Duration::from_secs(1);
const SHORTEST_RETRY: Duration = Duration::from_millis(50);

/// Why a protected call gave no value: the protocol said no, or the body did.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    Oncely(Error),
    Body(E),
    /// The body of an earlier call did, and that is its outcome.
    Replayed(E),
}

impl<E> From<Error> for Failure<E> {
    fn from(error: Error) -> Self {
        Self::Oncely(error)
    }
}

impl<E: From<Error>> Failure<E> {
    /// The failure as the caller's own error.
    pub(crate) fn into_error(self) -> E {
        match self {
            Self::Oncely(error) => error.into(),
            Self::Body(error) | Self::Replayed(error) => error,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.key {
            Some(key) => write!(f, " (key `{}`)", key.escape_debug()),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
