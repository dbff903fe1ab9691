//! How a router is protected without annotations.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use tower_layer::Layer;

use super::service::Idempotency;
use crate::coordinator::{Binding, Coordinator, Idempotent};
use crate::model::{OnInterrupted, OnStoreError, Operation};

/// Protects every request of a service that carries an `Idempotency-Key`.
///
/// The first request with a key runs; whoever sends it again gets its answer, with
/// `Idempotency-Replayed: true`, also while the first still runs. The same key with another method,
/// address or body is refused. What is refused is a [`Problem`](super::Problem).
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::Router;
/// use axum::routing::post;
/// use oncely::Coordinator;
/// use oncely::http::IdempotencyLayer;
///
/// #[derive(Clone)]
/// struct User {
///     id: u64,
/// }
///
/// # async fn example() -> Result<(), oncely::Error> {
/// let oncely = Coordinator::connect("memory:").await?;
/// // Whoever authenticates requests has put the user there.
/// let by_user = IdempotencyLayer::new(&oncely, |request| {
///     request.extensions.get::<User>().map(|user| user.id.to_string())
/// });
/// let router: Router = Router::new().route("/payments", post(|| async { "paid" })).layer(by_user);
/// # Ok(())
/// # }
/// # }
/// ```
///
/// # What is stored
///
/// As Stripe has it: what the service decided, also if it is an error of its own. Not stored, so
/// that the same request may succeed later, are answers that say that nothing was done: 4xx other
/// than 402 and 410, which come from validation and conflicts, and 503. [`stores`](Self::stores)
/// chooses others.
///
/// The answer says with `Idempotency-Retention` for how many seconds it will be given again. One of
/// more than 1 MiB, or one that streams, is passed through with `Idempotency-Replayable: false`, and
/// counted as an outcome that is not stored: it is not given again, and the request does not run
/// again either.
///
/// # Cancel safety
/// When the client hangs up, the handler finishes and is recorded, unless [`attached`](Self::attached)
/// says otherwise; [`Coordinator::shutdown`] waits for it.
#[derive(Clone)]
pub struct IdempotencyLayer {
    settings: Arc<Settings>,
}

/// Says who sends a request.
type Scope = dyn Fn(&Parts) -> Option<String> + Send + Sync;

/// What the layer and its services share.
#[derive(Clone)]
pub(super) struct Settings {
    coordinator: Coordinator,
    scope: Arc<Scope>,
    operation: Operation,
    pub(super) methods: Vec<Method>,
    pub(super) required: bool,
    pub(super) body_limit: usize,
    pub(super) stores: Arc<dyn Fn(StatusCode) -> bool + Send + Sync>,
    pub(super) also_store: Vec<HeaderName>,
    pub(super) never_store: Vec<HeaderName>,
    pub(super) detached: bool,
    pub(super) retention: Duration,
    lease: Option<Duration>,
    max_hold: Option<Duration>,
    wait: Option<Duration>,
    on_interrupted: OnInterrupted,
    on_store_error: OnStoreError,
}

impl IdempotencyLayer {
    /// Protects through `coordinator`, and tells callers apart by what `scope` says of a request:
    /// the same key of two callers never meets, so that nobody is given another's answer.
    ///
    /// `scope` gives a `String` or an `Option<String>` of at most 512 bytes. It is asked only of
    /// requests with a key; one of which it says `None`, or nothing, is refused (401). A service that has one
    /// caller says so: `|_| "everyone".to_owned()`.
    pub fn new<F, S>(coordinator: &Coordinator, scope: F) -> Self
    where
        F: Fn(&Parts) -> S + Send + Sync + 'static,
        S: Into<Option<String>>,
    {
        let settings = Settings {
            coordinator: coordinator.clone(),
            scope: Arc::new(move |request| scope(request).into()),
            operation: Operation::fixed("http"),
            methods: vec![Method::POST, Method::PATCH],
            required: false,
            body_limit: 2 << 20,
            stores: Arc::new(is_decided),
            also_store: Vec::new(),
            never_store: Vec::new(),
            detached: true,
            retention: Duration::from_secs(24 * 60 * 60),
            lease: None,
            max_hold: None,
            wait: None,
            on_interrupted: OnInterrupted::Rerun,
            on_store_error: OnStoreError::Refuse,
        };
        Self { settings: Arc::new(settings) }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Which methods are protected: `POST` and `PATCH` unless set. Requests of others pass.
    pub fn methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with(|settings| settings.methods = methods.into_iter().collect())
    }

    /// Refuses requests of the protected methods that have no key (400). Without this they pass
    /// unprotected.
    pub fn required(self) -> Self {
        self.with(|settings| settings.required = true)
    }

    /// The namespace of the keys in the store: `http` unless set. Layers that share it, and a
    /// coordinator, share keys.
    pub fn operation(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.with(|settings| settings.operation = Operation::named(name))
    }

    /// The largest body of a request with a key, in bytes: 2 MiB unless set. It is read before the
    /// service is called, to compare it; a larger one is refused (413).
    pub fn body_limit(self, bytes: usize) -> Self {
        self.with(|settings| settings.body_limit = bytes)
    }

    /// Which answers are stored, by their status. Others go to their caller, and free the key.
    pub fn stores(self, stores: impl Fn(StatusCode) -> bool + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.stores = Arc::new(stores))
    }

    /// Stores a header with the answer although it is secret, such as `Set-Cookie`.
    pub fn store_header(self, name: HeaderName) -> Self {
        self.with(|settings| settings.also_store.push(name))
    }

    /// Leaves a header out of the stored answer, such as the id of a request.
    pub fn skip_header(self, name: HeaderName) -> Self {
        self.with(|settings| settings.never_store.push(name))
    }

    /// Drops the handler when the client hangs up, which then counts as an interruption.
    pub fn attached(self) -> Self {
        self.with(|settings| settings.detached = false)
    }

    /// How long an answer replays: 24 hours unless set.
    pub fn retention(self, retention: Duration) -> Self {
        self.with(|settings| settings.retention = retention)
    }

    /// How long a silent holder keeps the key: 30 seconds unless set. Renewed while the handler
    /// runs.
    pub fn lease(self, lease: Duration) -> Self {
        self.with(|settings| settings.lease = Some(lease))
    }

    /// When renewal stops, so that a handler that hangs cannot hold the key for ever: 1 hour unless
    /// set.
    pub fn max_hold(self, limit: Duration) -> Self {
        self.with(|settings| settings.max_hold = Some(limit))
    }

    /// How long a repeated request waits for the first: 10 seconds unless set; zero answers 409 at
    /// once.
    pub fn wait(self, limit: Duration) -> Self {
        self.with(|settings| settings.wait = Some(limit))
    }

    /// What the next request with a key does after one that was interrupted half-way.
    pub fn on_interrupted(self, choice: OnInterrupted) -> Self {
        self.with(|settings| settings.on_interrupted = choice)
    }

    /// What to do when the store cannot be reached: refuse (503), or run unprotected.
    pub fn on_store_error(self, choice: OnStoreError) -> Self {
        self.with(|settings| settings.on_store_error = choice)
    }
}

/// Whether an answer says what was decided, and not that nothing was done.
fn is_decided(status: StatusCode) -> bool {
    match status {
        StatusCode::PAYMENT_REQUIRED | StatusCode::GONE => true,
        StatusCode::SERVICE_UNAVAILABLE => false,
        status => !status.is_client_error(),
    }
}

impl Settings {
    /// Who sends this request.
    pub(super) fn caller(&self, request: &Parts) -> Option<String> {
        (self.scope)(request).filter(|caller| !caller.is_empty())
    }

    /// The call that a request of this caller is.
    pub(super) fn call(&self, key: &str, caller: &str) -> Idempotent {
        let operation = self.operation.clone();
        let binding = Binding::from(&self.coordinator);
        let key = binding.key(&operation, Some(caller), key);
        let mut call = Idempotent::new(binding, operation, Some(key))
            .retention(self.retention)
            .on_interrupted(self.on_interrupted)
            .on_store_error(self.on_store_error);
        if let Some(lease) = self.lease {
            call = call.lease(lease);
        }
        if let Some(limit) = self.max_hold {
            call = call.max_hold(limit);
        }
        if let Some(limit) = self.wait {
            call = call.wait(limit);
        }
        call
    }
}

impl<S> Layer<S> for IdempotencyLayer {
    type Service = Idempotency<S>;

    fn layer(&self, inner: S) -> Idempotency<S> {
        Idempotency { inner, settings: Arc::clone(&self.settings) }
    }
}

impl fmt::Debug for IdempotencyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.settings, f)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayer")
            .field("coordinator", &self.coordinator)
            .field("operation", &self.operation.name())
            .field("methods", &self.methods)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use http::StatusCode;

    use super::is_decided;

    #[test]
    fn what_was_decided_is_stored_and_what_was_turned_away_is_not() {
        let stored = [200, 201, 202, 204, 303, 402, 410, 500, 501, 502, 504];
        let passed =
            [400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 422, 423, 425, 428, 429, 503];
        let of = |status: u16| is_decided(StatusCode::from_u16(status).unwrap());
        assert!(stored.into_iter().all(of), "one of {stored:?} is not stored");
        assert!(!passed.into_iter().any(of), "one of {passed:?} is stored");
    }
}
