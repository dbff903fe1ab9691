//! Oncely makes an annotated async function safe to call twice and safe to call at the same time.
//!
//! [`#[idempotent]`](macro@idempotent) runs a call once and replays its outcome;
//! [`#[with_lock]`](macro@with_lock) runs one call at a time. Keys, options and return types are
//! checked by the compiler; a [`Coordinator`] keeps the promise in a [`store`].
//!
//! ```
//! # #[cfg(feature = "macros")] {
//! use oncely::{Coordinator, idempotent, with_lock};
//!
//! #[idempotent(key = "pay:<request_id>")]
//! #[with_lock(key = "order:<order_id>", wait = "2s")]
//! async fn pay(request_id: &str, order_id: u64, cents: u64) -> Result<String, oncely::Error> {
//!     Ok(format!("charged {cents} cents for order {order_id}"))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), oncely::Error> {
//!     Coordinator::connect("memory:").await?.install()?;
//!     let first = pay("r-1", 42, 1_000).await?;
//!     assert_eq!(pay("r-1", 42, 1_000).await?, first);
//!     assert!(pay("r-1", 42, 9_999).await.is_err());
//!     Ok(())
//! }
//! # }
//! ```
//!
//! # What is reported
//!
//! What a caller does not hear of, an operator does: as an event of the `tracing` facade, and with
//! the feature `metrics` as a counter of the `metrics` facade.
//!
//! | event | counter | meaning |
//! |---|---|---|
//! | error, `lease lost` | `oncely_leases_lost_total` | a body was stopped, or ended too late to count |
//! | error, `outcome not recorded` | `oncely_records_lost_total` | a body succeeded and the store could not be told: a retry may run it again |
//! | error, `running unprotected` | `oncely_unprotected_runs_total` | `on_store_error = "run"` met a store that is down |
//! | error, `outcome not stored` | `oncely_outcomes_not_stored_total` | an outcome was too large or not serializable: it will not replay |
//! | warn, `leases could not be renewed` | `oncely_renewals_failed_total` | tried again while the lease lasts |
//! | warn, `key not given back` | `oncely_releases_failed_total` | free once its lease has expired |
//!
//! # HTTP
//!
//! With the feature `http`, [`http`](mod@http) has the `Idempotency-Key` header for services and clients; with `axum`,
//! for handlers as they are written.
//!
//! # Without the attributes
//!
//! [`Coordinator::idempotent`] and [`Coordinator::lock`] do the same.
//! Inside a body, [`current`] says which attempt it is, under which fencing token it runs, and
//! which keys to hand to the next service.

#[doc(hidden)]
pub mod __private;
mod coordinator;
#[cfg(feature = "http")]
pub mod http;
mod idempotency;
mod joined;
mod lease;
mod lock;
mod model;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use coordinator::{Coordinator, CoordinatorBuilder, Idempotent, Lock, Shutdown};
pub use idempotency::{
    ForgetErrors, Outcome, RememberErrors, RememberErrorsIf, Remembering, ReplayCache,
};
pub use joined::fence;
pub use lease::{Call, current};
pub use lock::LockGuard;
pub use model::{
    Arguments, Error, ErrorKind, Fingerprint, KeyPart, KeyPartWriter, OnInterrupted, OnStoreError,
    Unfingerprinted,
};
#[cfg(feature = "macros")]
pub use oncely_macros::{KeyPart, idempotent, with_lock};

/// The README's examples run, and those of the guides.
#[cfg(all(doctest, feature = "axum", feature = "macros", feature = "postgres"))]
#[doc = include_str!("../../README.md")]
#[doc = include_str!("../../docs/http.md")]
struct Readme;
