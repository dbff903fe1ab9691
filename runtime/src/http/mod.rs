//! The `Idempotency-Key` header, for services and for their clients.
//!
//! Handlers are where retries arrive. There are two ways to answer them:
//!
//! - An annotated handler (feature `axum`) takes an [`IdempotencyKey`] as an argument, which is then
//!   its key. The other arguments are the fingerprint; `State`, `Extension` and the like are left out
//!   by their types. Who calls is told apart with `scope = "<user.id>"`.
//! - An [`IdempotencyLayer`] protects a whole router, without annotations, and needs tower only.
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "macros"))] {
//! use axum::extract::State;
//! use axum::http::StatusCode;
//! use axum::routing::post;
//! use axum::{Json, Router};
//! use oncely::http::{IdempotencyKey, ReplayedLayer};
//! use oncely::idempotent;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct CreatePayment {
//!     order_id: u64,
//!     cents: u64,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Payment {
//!     id: u64,
//! }
//!
//! #[derive(Clone)]
//! struct Bank;
//!
//! #[idempotent(wait = "5s")]
//! async fn create(
//!     key: IdempotencyKey,
//!     State(bank): State<Bank>,
//!     Json(payment): Json<CreatePayment>,
//! ) -> Result<(StatusCode, Json<Payment>), oncely::Error> {
//!     let _ = (key, bank, payment.cents);
//!     Ok((StatusCode::CREATED, Json(Payment { id: payment.order_id })))
//! }
//!
//! let router: Router = Router::new()
//!     .route("/payments", post(create))
//!     .layer(ReplayedLayer)
//!     .with_state(Bank);
//! # }
//! ```
//!
//! What is refused is a [`Problem`] that programs can read. On the other side of the wire, [`Retry`]
//! gives a client's requests a key, and sends them again until they are answered.
//!
//! # What replays
//!
//! Status, headers and body. Not stored are `Set-Cookie` and other credentials, values that are
//! marked sensitive (unless [`StoreHeaders`] asks for them), and what belongs to one message, such
//! as `Date`. The body of a `Response` replays byte for byte; that of a `Json<T>` is `T`, read back
//! and written again, which is the same bytes unless `T` has a `HashMap`, whose order is its own.
//! An answer of more than 1 MiB, or one that streams, goes to its caller and cannot be replayed.

mod answer;
#[cfg(feature = "axum")]
mod axum;
mod headers;
mod key;
mod layer;
mod problem;
mod recorded;
mod replayed;
mod retry;
mod service;

#[cfg(feature = "axum")]
pub use self::axum::{Replayable, ReplayableHeader};
pub use self::headers::{
    IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYABLE, IDEMPOTENCY_REPLAYED, IDEMPOTENCY_RETENTION,
    StoreHeaders,
};
pub use self::key::{IdempotencyKey, KeyRejection};
pub use self::layer::IdempotencyLayer;
pub use self::problem::Problem;
pub use self::recorded::Recorded;
pub(crate) use self::replayed::note;
pub use self::replayed::{Replayed, ReplayedLayer};
pub use self::retry::{Retry, Retrying};
pub use self::service::Idempotency;
