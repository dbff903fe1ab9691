//! Outcomes: what a call gives its caller, and which of its errors are among them.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::{Codec, ErrorPolicy};

/// What an idempotent call gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The body ran now.
    Executed(T),
    /// The body ran earlier, and this is what it gave then.
    Replayed {
        /// The value of the first run.
        value: T,
        /// When it was stored, by the store's clock.
        at: SystemTime,
    },
}

impl<T> Outcome<T> {
    /// The value, wherever it comes from.
    pub fn into_value(self) -> T {
        match self {
            Self::Executed(value) | Self::Replayed { value, .. } => value,
        }
    }

    /// The value, wherever it comes from.
    pub fn value(&self) -> &T {
        match self {
            Self::Executed(value) | Self::Replayed { value, .. } => value,
        }
    }

    /// Whether the body ran earlier.
    pub fn is_replayed(&self) -> bool {
        matches!(self, Self::Replayed { .. })
    }
}

/// What a call gave. Most callers never ask for the time of an outcome, which costs a look at the clock.
pub(crate) enum Given<T> {
    /// By a body that ran now.
    Now(T),
    /// By one that ran earlier.
    Earlier { value: T, since: Since },
}

/// When an outcome was stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Duration),
    /// At that time.
    At(SystemTime),
}

impl<T> Given<T> {
    pub(crate) fn into_value(self) -> T {
        match self {
            Self::Now(value) | Self::Earlier { value, .. } => value,
        }
    }

    #[cfg(feature = "http")]
    pub(crate) fn is_replayed(&self) -> bool {
        matches!(self, Self::Earlier { .. })
    }
}

impl<T> From<Given<T>> for Outcome<T> {
    fn from(given: Given<T>) -> Self {
        match given {
            Given::Now(value) => Self::Executed(value),
            Given::Earlier { value, since } => Self::Replayed { value, at: since.time() },
        }
    }
}

impl Since {
    pub(crate) fn time(self) -> SystemTime {
        match self {
            Self::At(time) => time,
            Self::Ago(age) => {
                let now = SystemTime::now();
                now.checked_sub(age).unwrap_or(now)
            }
        }
    }

    /// How long ago that is; nothing for a time to come.
    #[cfg(feature = "http")]
    pub(crate) fn age(self) -> Duration {
        match self {
            Self::Ago(age) => age,
            Self::At(time) => SystemTime::now().duration_since(time).unwrap_or_default(),
        }
    }
}

/// Whether and how the errors of a body are outcomes too.
///
/// Sealed: [`ForgetErrors`], [`RememberErrors`] and [`RememberErrorsIf`] are all there is.
pub trait Remembering<E>: sealed::Sealed {
    #[doc(hidden)]
    fn policy(self) -> ErrorPolicy<E>;
}

/// An error frees the key: the next call runs the body again.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForgetErrors;

/// Every error is final: stored, and replayed as the same typed error.
#[derive(Clone, Copy, Debug, Default)]
pub struct RememberErrors;

/// An error for which the function says so is final; the others free the key.
#[derive(Clone, Copy)]
pub struct RememberErrorsIf<P>(pub(crate) P);

impl<P> fmt::Debug for RememberErrorsIf<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RememberErrorsIf")
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ForgetErrors {}
    impl Sealed for super::RememberErrors {}
    impl<P> Sealed for super::RememberErrorsIf<P> {}
}

impl<E> Remembering<E> for ForgetErrors {
    fn policy(self) -> ErrorPolicy<E> {
        ErrorPolicy::Forget
    }
}

impl<E: Serialize + DeserializeOwned> Remembering<E> for RememberErrors {
    fn policy(self) -> ErrorPolicy<E> {
        ErrorPolicy::Remember(Codec::json(), None)
    }
}

impl<E, P> Remembering<E> for RememberErrorsIf<P>
where
    E: Serialize + DeserializeOwned,
    P: Fn(&E) -> bool + Send + Sync + 'static,
{
    fn policy(self) -> ErrorPolicy<E> {
        ErrorPolicy::Remember(Codec::json(), Some(Box::new(self.0)))
    }
}
