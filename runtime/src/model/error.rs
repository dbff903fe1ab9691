//! The one error of the crate, and the questions it answers.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

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

    /// Whether the same call can succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::InProgress
            | ErrorKind::LeaseLost
            | ErrorKind::StoreUnavailable
            | ErrorKind::LockBusy
            | ErrorKind::Indeterminate
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
            message: message.into(),
            source: None,
        }))
    }

    pub(crate) fn with_key(mut self, key: &str) -> Self {
        self.0.key = Some(key.to_owned());
        self
    }

    pub(crate) fn with_retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn invalid_key(key: &str, message: impl Into<String>) -> Self {
        let error = Self::new(ErrorKind::InvalidKey, message);
        if key.is_empty() { error } else { error.with_key(key) }
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
