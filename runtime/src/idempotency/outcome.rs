//! Outcomes: what a call gives its caller, and how it is kept for the next one.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{Error, Key, MAX_OUTCOME_BYTES, StoredOutcome, survives_null};

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
    /// The stored form of an error that is final.
    #[doc(hidden)]
    fn remember(&self, key: &Key, error: &E) -> Option<StoredOutcome>;

    /// The error that was stored.
    #[doc(hidden)]
    fn recall(&self, key: &Key, payload: &[u8]) -> Result<E, Error>;
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
    fn remember(&self, _key: &Key, _error: &E) -> Option<StoredOutcome> {
        None
    }

    fn recall(&self, key: &Key, _payload: &[u8]) -> Result<E, Error> {
        let why = "the stored outcome is an error, and this call does not remember errors";
        Err(Error::unreadable(key, why))
    }
}

impl<E: Serialize + DeserializeOwned> Remembering<E> for RememberErrors {
    fn remember(&self, key: &Key, error: &E) -> Option<StoredOutcome> {
        Some(encode(key, error, StoredOutcome::Error))
    }

    fn recall(&self, key: &Key, payload: &[u8]) -> Result<E, Error> {
        decode(key, payload)
    }
}

impl<E, P> Remembering<E> for RememberErrorsIf<P>
where
    E: Serialize + DeserializeOwned,
    P: Fn(&E) -> bool,
{
    fn remember(&self, key: &Key, error: &E) -> Option<StoredOutcome> {
        (self.0)(error).then(|| encode(key, error, StoredOutcome::Error))
    }

    // An error that is not final any more was when it was stored.
    fn recall(&self, key: &Key, payload: &[u8]) -> Result<E, Error> {
        decode(key, payload)
    }
}

/// The stored form of a value.
pub(super) fn encode_value<T: Serialize>(key: &Key, value: &T) -> StoredOutcome {
    encode(key, value, StoredOutcome::Value)
}

/// The stored form of a value, or why it has none.
pub(crate) fn storable<T: Serialize>(key: &Key, value: &T) -> Result<StoredOutcome, Error> {
    match encode_value(key, value) {
        StoredOutcome::Absent => {
            Err(Error::unreadable(key, "the value is too large or not serializable"))
        }
        outcome => Ok(outcome),
    }
}

/// The value that was stored.
pub(super) fn decode<T: DeserializeOwned>(key: &Key, payload: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(payload).map_err(|error| {
        let why = "the stored outcome is not of this function's type any more";
        Error::unreadable(key, why).with_source(error)
    })
}

/// Too large, or not to be brought back: the call is complete all the same, without an outcome.
fn encode<T: Serialize>(
    key: &Key,
    value: &T,
    stored: impl FnOnce(Arc<[u8]>) -> StoredOutcome,
) -> StoredOutcome {
    match to_json(value) {
        Ok(payload) => stored(payload.into()),
        Err(error) => {
            tracing::error!(key = key.as_str(), %error, "outcome not stored, it will not replay");
            StoredOutcome::Absent
        }
    }
}

/// JSON, which people can read in their store, or why it cannot hold the value.
fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut payload = Limited(Vec::new());
    serde_json::to_writer(&mut payload, value)?;
    let has_null = payload.0.windows(4).any(|word| word == b"null");
    if has_null && !survives_null(value) {
        let why = "JSON would bring back `Some(())`, `Some(None)` or a float that is not finite \
                   as `null`";
        return Err(serde::ser::Error::custom(why));
    }
    Ok(payload.0)
}

/// A buffer that refuses to grow past the largest outcome that is stored.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTCOME_BYTES {
            return Err(io::Error::other("the outcome is larger than 1 MiB"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
