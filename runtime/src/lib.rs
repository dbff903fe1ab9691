//! Oncely makes an annotated async function safe to call twice and safe to call at the same time.

#[doc(hidden)]
pub mod __private;
mod coordinator;
mod idempotency;
mod lease;
mod lock;
mod model;
pub mod store;

pub use coordinator::{Coordinator, CoordinatorBuilder, Idempotent, Lock, Shutdown};
pub use idempotency::{ForgetErrors, Outcome, RememberErrors, RememberErrorsIf, Remembering};
pub use lease::{Call, current};
pub use lock::LockGuard;
pub use model::{
    Arguments, Error, ErrorKind, Fingerprint, KeyPart, KeyPartWriter, OnInterrupted, OnStoreError,
};
#[cfg(feature = "macros")]
pub use oncely_macros::{KeyPart, idempotent, with_lock};
#[cfg(feature = "testing")]
pub mod testing;
