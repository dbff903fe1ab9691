//! How outcomes are kept for the next call, and brought back.

use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};

use crate::lease::report_unstored;
use crate::model::{Error, Key, MAX_OUTCOME_BYTES, StoredOutcome, survives_null};

/// What the outcomes of a call are, and how they are stored.
#[derive(Debug)]
pub(crate) struct Outcomes<T, E> {
    pub(crate) values: Codec<T>,
    pub(crate) errors: ErrorPolicy<E>,
}

/// Whether errors are outcomes.
pub enum ErrorPolicy<E> {
    /// They free the key.
    Forget,
    /// They are stored: all, or those for which the function says so.
    Remember(Codec<E>, Option<IsFinal<E>>),
}

/// What the caller's code panicked with.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Says which errors are outcomes.
pub type IsFinal<E> = Box<dyn Fn(&E) -> bool + Send + Sync>;

impl<T, E> Outcomes<T, E> {
    /// What to store of what the body gave; `None` frees the key.
    ///
    /// The caller's own code decides and serializes, and it may panic. The body has run all the
    /// same, and an interrupted call would be run again for it: the call is complete, without an
    /// outcome, and the panic goes on once the store knows.
    pub(crate) fn stored(
        &self,
        key: &Key,
        ended: &Result<T, E>,
    ) -> (Option<StoredOutcome>, Option<Panic>) {
        // Whoever sees the outcome after a panic is its destructor.
        match catch_unwind(AssertUnwindSafe(|| self.encoded(key, ended))) {
            Ok(outcome) => (outcome, None),
            Err(panic) => {
                report_unstored(key, &"its serialization panicked");
                (Some(StoredOutcome::Absent), Some(panic))
            }
        }
    }

    /// Whether an error can be an outcome.
    pub(crate) fn remembers_errors(&self) -> bool {
        matches!(self.errors, ErrorPolicy::Remember(..))
    }

    fn encoded(&self, key: &Key, ended: &Result<T, E>) -> Option<StoredOutcome> {
        let encoded = match (ended, &self.errors) {
            (Ok(value), _) => (self.values.encode)(value).map(StoredOutcome::Value),
            (Err(error), ErrorPolicy::Remember(codec, is_final))
                if is_final.as_ref().is_none_or(|is_final| is_final(error)) =>
            {
                (codec.encode)(error).map(StoredOutcome::Error)
            }
            (Err(_), ErrorPolicy::Remember(..) | ErrorPolicy::Forget) => return None,
        };
        // Too large, or not to be brought back: the call is complete all the same.
        Some(encoded.unwrap_or_else(|error| {
            report_unstored(key, &error);
            StoredOutcome::Absent
        }))
    }

    /// What the body gave, from what was stored.
    pub(crate) fn recalled(
        &self,
        key: &Key,
        outcome: &StoredOutcome,
    ) -> Result<Result<T, E>, Error> {
        let recalled = match (outcome, &self.errors) {
            (StoredOutcome::Value(payload), _) => (self.values.decode)(payload).map(Ok),
            (StoredOutcome::Error(payload), ErrorPolicy::Remember(codec, _)) => {
                (codec.decode)(payload).map(Err)
            }
            (StoredOutcome::Error(_), ErrorPolicy::Forget) => {
                Err(serde_json::Error::custom("it is an error, and this call remembers none"))
            }
            (StoredOutcome::Absent, _) => Err(serde_json::Error::custom(
                "it was too large or not serializable, or serializing it panicked",
            )),
            (StoredOutcome::Foreign, _) => {
                Err(serde_json::Error::custom("it was stored by another release"))
            }
        };
        recalled.map_err(|error| {
            let message = "the call has completed, and its outcome cannot be read back";
            Error::unreadable(key, message).with_source(error)
        })
    }
}

impl<E> fmt::Debug for ErrorPolicy<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forget => "Forget",
            Self::Remember(_, None) => "Remember",
            Self::Remember(_, Some(_)) => "RememberIf",
        })
    }
}

/// How values of one type are written and read: the place where its serde traits are kept, so that
/// what handles outcomes needs no bounds.
pub struct Codec<T> {
    encode: fn(&T) -> Result<Arc<[u8]>, serde_json::Error>,
    decode: fn(&[u8]) -> Result<T, serde_json::Error>,
}

impl<T: Serialize + DeserializeOwned> Codec<T> {
    /// JSON, which people can read in their store.
    pub(crate) fn json() -> Self {
        Self { encode: to_json, decode: |payload| serde_json::from_slice(payload) }
    }
}

#[cfg(feature = "http")]
impl<T> Codec<T> {
    /// The stored form of a value.
    #[cfg(feature = "axum")]
    pub(crate) fn encoded(&self, value: &T) -> Result<Arc<[u8]>, serde_json::Error> {
        (self.encode)(value)
    }

    /// The value of a stored form.
    #[cfg(feature = "axum")]
    pub(crate) fn decoded(&self, stored: &[u8]) -> Result<T, serde_json::Error> {
        (self.decode)(stored)
    }

    /// An encoding of its own.
    pub(crate) fn new(
        encode: fn(&T) -> Result<Arc<[u8]>, serde_json::Error>,
        decode: fn(&[u8]) -> Result<T, serde_json::Error>,
    ) -> Self {
        Self { encode, decode }
    }
}

impl<T> fmt::Debug for Codec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Codec")
    }
}

/// The stored form of a value, or why it has none.
pub(crate) fn storable<T: Serialize>(key: &Key, value: &T) -> Result<StoredOutcome, Error> {
    to_json(value).map(StoredOutcome::Value).map_err(|error| {
        Error::unreadable(key, "the value cannot be stored as an outcome").with_source(error)
    })
}

fn to_json<T: Serialize>(value: &T) -> Result<Arc<[u8]>, serde_json::Error> {
    let mut payload = Limited { bytes: Vec::with_capacity(USUAL_BYTES), has_null: false };
    serde_json::to_writer(&mut payload, value)?;
    if payload.has_null && !survives_null(value) {
        let why = "JSON would bring back `Some(())`, `Some(None)` or a float that is not finite \
                   as `null`";
        return Err(<serde_json::Error as serde::ser::Error>::custom(why));
    }
    Ok(payload.bytes.into())
}

/// Room for most outcomes.
const USUAL_BYTES: usize = 256;

/// A buffer that refuses to grow past the largest outcome that is stored, and sees every `null`: it
/// is written as one piece.
struct Limited {
    bytes: Vec<u8>,
    has_null: bool,
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.has_null |= bytes == b"null";
        if self.bytes.len() + bytes.len() > MAX_OUTCOME_BYTES {
            return Err(io::Error::other("the outcome is larger than 1 MiB"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
