//! Outcomes: what a call gives its caller, and which of its errors are among them.

use std::fmt;
use std::time::SystemTime;

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
