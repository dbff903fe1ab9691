//! The builder behind `#[idempotent]`.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Coordinator;
use super::detached::detached;
use super::installed::Binding;
use super::lock::Lock;
use super::planned::Planned;
use super::settings::{FOREVER, Settings, wrong};
use crate::idempotency::{
    self, Claimed, Codec, ForgetErrors, Given, Outcome, Outcomes, RememberErrors, RememberErrorsIf,
    Remembering,
};
use crate::lease::{Call, Caller, Claims, Downstream};
use crate::model::{
    Arguments, Error, Failure, Fingerprint, Key, LeaseRequest, OnInterrupted, OnStoreError,
    Operation, Piece, StoredOutcome, render,
};

/// A call that is about to run once; from [`Coordinator::idempotent`].
///
/// `R` says whether errors are outcomes too.
#[derive(Debug)]
#[must_use = "an idempotent call does nothing until `run`"]
pub struct Idempotent<R = ForgetErrors> {
    binding: Binding,
    operation: Operation,
    name: Name,
    scope: Result<Option<String>, Error>,
    fingerprint: Result<Option<Fingerprint>, Error>,
    settings: Settings,
    retention: Duration,
    on_interrupted: OnInterrupted,
    /// Boxed, because most calls have none and a call is moved from step to step.
    lock: Option<Box<Lock>>,
    errors: R,
}

/// What makes a call the same as another.
#[derive(Debug)]
enum Name {
    Fingerprint,
    /// Without the scope, which is said later.
    Key(Result<Key, Error>),
    /// Nothing does: it is like no other.
    Nothing,
}

impl Idempotent {
    pub(crate) fn new(
        binding: Binding,
        operation: Operation,
        key: Option<Result<Key, Error>>,
    ) -> Self {
        Self {
            binding,
            operation,
            name: key.map_or(Name::Fingerprint, Name::Key),
            scope: Ok(None),
            fingerprint: Ok(None),
            settings: Settings::default(),
            retention: Duration::from_secs(24 * 60 * 60),
            on_interrupted: OnInterrupted::Rerun,
            lock: None,
            errors: ForgetErrors,
        }
    }

    /// Makes errors final: they are stored, and replayed as the same typed error.
    pub fn remember_errors(self) -> Idempotent<RememberErrors> {
        self.with_errors(RememberErrors).0
    }

    /// Makes those errors final for which `is_final` says so; the others free the key.
    pub fn remember_errors_if<P>(self, is_final: P) -> Idempotent<RememberErrorsIf<P>> {
        self.with_errors(RememberErrorsIf(is_final)).0
    }

    /// The call as it is to be run.
    pub(crate) fn planned(self) -> Result<Planned, Error> {
        if !matches!(self.name, Name::Nothing) {
            return self.into_plan().map(|(coordinator, plan)| Planned::Keyed(coordinator, plan));
        }
        if let Some(lock) = self.lock {
            return lock.planned().map(|lock| Planned::Locked(Box::new(lock)));
        }
        let key = self.binding.key(&self.operation, self.scope?.as_deref(), "no key")?;
        let caller = Caller { operation: self.operation, downstream: Downstream::PerHolder };
        Ok(Planned::Bare(Box::new((caller, key))))
    }

    pub(crate) async fn run_detached_as<T, E, F, B>(
        self,
        outcomes: Outcomes<T, E>,
        body: B,
    ) -> Result<Given<T>, Failure<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        B: FnOnce(Call) -> F + Send + 'static,
    {
        let leases = self.binding.coordinator()?.0.leases.clone();
        let (coordinator, plan) = match self.planned()? {
            Planned::Keyed(coordinator, plan) => (coordinator, plan),
            planned => {
                let call = async move { planned.run(&outcomes, body).await };
                return detached(&leases, Box::pin(call)).await;
            }
        };
        let cache = coordinator.0.cache.as_ref();
        // Only a body has to come to its end. Boxed, so that neither of the two makes the whole large.
        let claim = Box::pin(idempotency::claim(&leases, cache, &plan, &outcomes));
        let free = match claim.await? {
            Claimed::Replayed(given) => return Ok(given),
            Claimed::Free(free) => free,
        };
        let keeper = coordinator.clone();
        let call = async move { free.take(keeper.0.cache.as_ref(), &plan, &outcomes, body).await };
        detached(&leases, Box::pin(call)).await
    }
}

impl<R> Idempotent<R> {
    /// The same call with another choice for errors, and the choice it had.
    fn with_errors<S>(self, errors: S) -> (Idempotent<S>, R) {
        let call = Idempotent {
            errors,
            binding: self.binding,
            operation: self.operation,
            name: self.name,
            scope: self.scope,
            fingerprint: self.fingerprint,
            settings: self.settings,
            retention: self.retention,
            on_interrupted: self.on_interrupted,
            lock: self.lock,
        };
        (call, self.errors)
    }

    /// Remembers what the call was about: the same key with other arguments is then
    /// [`KeyReused`](crate::ErrorKind::KeyReused) and not answered with the outcome of another call.
    pub fn fingerprint<T: Serialize + ?Sized>(self, arguments: &T) -> Self {
        Self { fingerprint: Fingerprint::of(arguments).map(Some), ..self }
    }

    /// The fingerprint of all arguments.
    #[doc(hidden)]
    pub fn arguments(mut self, arguments: impl Into<Arguments>) -> Self {
        let mut arguments = arguments.into();
        // A key that the attribute spells goes before one that an argument is.
        if let (Name::Fingerprint, Some(key)) = (&self.name, arguments.take_name()) {
            let named = |key: String| self.binding.key(&self.operation, None, &key);
            self.name = key.map_or(Name::Nothing, |key| Name::Key(named(key)));
        }
        self.fingerprint = arguments.finish().map(Some);
        self
    }

    /// Separates callers: the same key in two scopes never meets.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Ok(Some(scope.into()));
        self
    }

    /// Separates callers by a template.
    #[doc(hidden)]
    pub fn scoped(mut self, scope: &[Piece<'_>]) -> Self {
        self.scope = render(scope).map(Some);
        self
    }

    /// How long the outcome replays: 24 hours unless set.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention.min(FOREVER);
        self
    }

    /// How long a silent holder keeps the key: 30 seconds unless set or unless `max_hold` is
    /// shorter, 10 ms at least. Renewed while the body runs.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease_length = Some(lease.min(FOREVER));
        self
    }

    /// When renewal stops, so that a hung body cannot hold the key for ever: 1 hour unless set.
    pub fn max_hold(mut self, limit: Duration) -> Self {
        self.settings.max_hold = limit.min(FOREVER);
        self
    }

    /// How long a duplicate waits for its running twin: 10 seconds unless set; zero answers at
    /// once.
    pub fn wait(mut self, limit: Duration) -> Self {
        self.settings.wait = limit.min(FOREVER);
        self
    }

    /// What the next call does after one that was interrupted half-way.
    pub fn on_interrupted(mut self, choice: OnInterrupted) -> Self {
        self.on_interrupted = choice;
        self
    }

    /// What to do when the store cannot be reached at the start.
    pub fn on_store_error(mut self, choice: OnStoreError) -> Self {
        self.settings.on_store_error = choice;
        self
    }

    /// Takes `lock` together with the claim, in one step; a replay takes no lock. The lock is
    /// released after the outcome is stored.
    pub fn with_lock(mut self, lock: Lock) -> Self {
        self.lock = Some(Box::new(lock));
        self
    }

    /// Runs `body` once, or replays what it gave.
    ///
    /// # Errors
    /// The body's own; [`InProgress`](crate::ErrorKind::InProgress) if a twin runs for longer than the
    /// call waits; [`KeyReused`](crate::ErrorKind::KeyReused) for other arguments;
    /// [`Interrupted`](crate::ErrorKind::Interrupted) after an interruption that is held back;
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) if the body was stopped because the lease was lost;
    /// [`Unreadable`](crate::ErrorKind::Unreadable) if the stored outcome is;
    /// [`StoreUnavailable`](crate::ErrorKind::StoreUnavailable), and the body was not run.
    ///
    /// # Panics
    /// With the body's own panic: the call then counts as interrupted. A panic while the outcome
    /// is serialized, or while `remember_errors_if` decides, goes on to the caller too, and the call
    /// is completed without an outcome: the body has run, and does not run twice for it.
    ///
    /// # Cancel safety
    /// Dropped before the body is polled, the key is free. Dropped while the body runs, the body is
    /// dropped and the call counts as interrupted, at once. Dropped while the outcome is being
    /// stored, that goes on in the background.
    pub async fn run<T, E, F>(self, body: impl FnOnce(Call) -> F) -> Result<Outcome<T>, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error>,
        F: Future<Output = Result<T, E>>,
        R: Remembering<E>,
    {
        let (call, outcomes) = self.split();
        let given = match call.planned() {
            Ok(ref planned) => planned.run(&outcomes, body).await,
            Err(error) => Err(error.into()),
        };
        given.map(Outcome::from).map_err(Failure::into_error)
    }

    /// As [`run`](Self::run), but the body finishes and is recorded even if the caller is dropped:
    /// it goes on, on a task of its own. [`Coordinator::shutdown`] waits for it.
    ///
    /// # Errors
    /// As [`run`](Self::run); a body that panics does so in the caller, if that is still there.
    ///
    /// # Cancel safety
    /// Dropped before the body is polled, the key is free; dropped after that, the call goes on.
    pub async fn run_detached<T, E, F, B>(self, body: B) -> Result<Outcome<T>, E>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: From<Error> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        B: FnOnce(Call) -> F + Send + 'static,
        R: Remembering<E>,
    {
        let (call, outcomes) = self.split();
        let given = call.run_detached_as(outcomes, body).await;
        given.map(Outcome::from).map_err(Failure::into_error)
    }

    /// Someone looked at what an interrupted call did, and decides that nothing stands: frees the
    /// key, so that the next call runs the body. Whether there was such a call.
    ///
    /// # Errors
    /// [`InProgress`](crate::ErrorKind::InProgress) if the call runs;
    /// [`StoreUnavailable`](crate::ErrorKind::StoreUnavailable).
    ///
    /// # Cancel safety
    /// Dropped, it is resolved or not; called again, it says `false` if it was.
    pub async fn resolve_as_not_run(self) -> Result<bool, Error> {
        let (coordinator, plan) = self.into_plan()?;
        idempotency::resolve(&coordinator.0.leases, &plan, None).await
    }

    /// Someone looked at what an interrupted call did, and decides that it stands: stores `value`
    /// as its outcome, which later calls replay. Whether there was such a call; if not, nothing is
    /// stored.
    ///
    /// # Errors
    /// As [`resolve_as_not_run`](Self::resolve_as_not_run), and
    /// [`Unreadable`](crate::ErrorKind::Unreadable) if `value` cannot be stored.
    ///
    /// # Cancel safety
    /// That of [`resolve_as_not_run`](Self::resolve_as_not_run).
    pub async fn resolve_with<T: Serialize>(self, value: &T) -> Result<bool, Error> {
        self.resolve_as(|key| idempotency::storable(key, value)).await
    }

    /// The same, whatever the outcome is stored as.
    pub(crate) async fn resolve_as(
        self,
        outcome: impl FnOnce(&Key) -> Result<StoredOutcome, Error>,
    ) -> Result<bool, Error> {
        let (coordinator, plan) = self.into_plan()?;
        let outcome = outcome(plan.key())?;
        idempotency::resolve(&coordinator.0.leases, &plan, Some(outcome)).await
    }

    /// The call, and what its outcomes are.
    pub(super) fn split<T, E>(self) -> (Idempotent, Outcomes<T, E>)
    where
        T: Serialize + DeserializeOwned,
        R: Remembering<E>,
    {
        let (call, errors) = self.with_errors(ForgetErrors);
        (call, Outcomes { values: Codec::json(), errors: errors.policy() })
    }

    pub(super) fn into_plan(self) -> Result<(Coordinator, idempotency::Plan), Error> {
        self.binding.coordinator()?;
        let mut settings = self.settings;
        let lease = settings.lease(self.retention)?;
        let (fingerprint, scope) = (self.fingerprint?, self.scope?);
        let named = |key: &str| self.binding.key(&self.operation, scope.as_deref(), key);
        let key = match self.name {
            Name::Key(key) if scope.is_none() => key?,
            Name::Key(key) => named(key?.name())?,
            Name::Fingerprint | Name::Nothing => match fingerprint {
                Some(fingerprint) => named(&fingerprint.to_string())?,
                None => return Err(wrong("a call needs a key or a fingerprint")),
            },
        };
        let coordinator = self.binding.into_coordinator()?;

        let mut request = LeaseRequest::new(key, lease);
        request.fingerprint = fingerprint;
        request.on_interrupted = self.on_interrupted;
        let caller = Caller { operation: self.operation, downstream: Downstream::PerCall };
        let mut claims = Claims::new(caller, settings.claim(request));
        let mut lock_wait = Duration::ZERO;
        if let Some(lock) = self.lock {
            lock_wait = lock.settings().wait;
            // Unprotected only if both agreed to it.
            if lock.settings().on_store_error == OnStoreError::Refuse {
                settings.on_store_error = OnStoreError::Refuse;
            }
            lock.add_to(&mut claims, &coordinator)?;
        }
        let plan = idempotency::Plan {
            claims,
            retention: self.retention,
            wait: settings.wait,
            lock_wait,
            on_store_error: settings.on_store_error,
        };
        Ok((coordinator, plan))
    }
}
