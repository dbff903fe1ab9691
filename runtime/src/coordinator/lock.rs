//! The builder behind `#[with_lock]`.

use std::future::Future;
use std::time::Duration;

use smallvec::SmallVec;

use super::Coordinator;
use super::installed::Binding;
use super::planned::PlannedLock;
use super::settings::{FOREVER, Settings, wrong};
use crate::lease::{Call, Claim, Claims};
use crate::lock::{self, LockGuard};
use crate::model::{Error, Failure, Key, LeaseRequest, OnStoreError};

/// A lock that is about to be taken; from [`Coordinator::lock`].
#[derive(Debug)]
#[must_use = "a lock does nothing until `run` or `acquire`"]
pub struct Lock {
    binding: Binding,
    keys: Result<Keys, Error>,
    settings: Settings,
}

/// Nearly always one.
type Keys = SmallVec<[Key; 1]>;

impl Lock {
    /// A lock on all of `keys`, of which `name` makes the keys of the coordinator's namespace.
    pub(crate) fn new<K>(
        binding: Binding,
        keys: impl IntoIterator<Item = K>,
        name: impl Fn(&str, K) -> Result<Key, Error>,
    ) -> Self {
        let keys = binding.coordinator().and_then(|coordinator| {
            let mut named = Keys::new();
            for key in keys {
                named.push(name(&coordinator.0.namespace, key)?);
            }
            Ok(named)
        });
        Self { binding, keys, settings: Settings::default() }
    }

    /// How long a silent holder keeps the lock: 30 seconds unless set or unless `max_hold` is
    /// shorter, 10 ms at least. Renewed while the body runs.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease_length = Some(lease.min(FOREVER));
        self
    }

    /// When renewal stops, so that a hung body cannot hold the lock for ever: 1 hour unless set.
    pub fn max_hold(mut self, limit: Duration) -> Self {
        self.settings.max_hold = limit.min(FOREVER);
        self
    }

    /// How long to wait for another holder: 10 seconds unless set; zero answers at once.
    pub fn wait(mut self, limit: Duration) -> Self {
        self.settings.wait = limit.min(FOREVER);
        self
    }

    /// What to do when the store cannot be reached at the start; for [`run`](Self::run) only.
    pub fn on_store_error(mut self, choice: OnStoreError) -> Self {
        self.settings.on_store_error = choice;
        self
    }

    /// Takes the lock, runs `body` and gives the lock back.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), oncely::Error> {
    /// # let oncely = oncely::Coordinator::connect("memory:").await?;
    /// let token = oncely
    ///     .lock("order:42")
    ///     .run(|call| async move { Ok::<_, oncely::Error>(call.fencing_token()) })
    ///     .await?;
    /// # assert!(token > 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The body's own; [`LockBusy`](crate::ErrorKind::LockBusy) if another holds the lock for longer than
    /// the call waits; [`WouldDeadlock`](crate::ErrorKind::WouldDeadlock) inside a call that holds it;
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) if the body was stopped because the lease was;
    /// [`StoreUnavailable`](crate::ErrorKind::StoreUnavailable).
    ///
    /// # Cancel safety
    /// Dropped before the body is polled, the lock is released; dropped later, the body is dropped
    /// and the lock given back as interrupted, which the next holder sees as a higher
    /// [`attempt`](Call::attempt).
    pub async fn run<T, E, F>(self, body: impl FnOnce(Call) -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let ended = match self.planned() {
            Ok(ref planned) => planned.run(body).await,
            Err(error) => Err(error.into()),
        };
        ended.map_err(Failure::into_error)
    }

    /// Takes the lock as a value.
    ///
    /// # Errors
    /// As [`run`](Self::run), without the body's own.
    ///
    /// # Cancel safety
    /// Dropped, nothing stays in the store: a lease that was granted meanwhile is given back in
    /// the background.
    pub async fn acquire(self) -> Result<LockGuard, Error> {
        let PlannedLock { coordinator, plan } = self.planned()?;
        let held = lock::acquire(&coordinator.0.leases, &plan).await?;
        Ok(LockGuard::new(held))
    }

    /// The lock as it is to be taken.
    pub(crate) fn planned(self) -> Result<PlannedLock, Error> {
        let coordinator = self.binding.into_coordinator()?;
        let settings = self.settings;
        let mut locks = claims(settings, self.keys?)?;
        let first = locks.next().ok_or_else(|| wrong("a lock needs at least one key"))?;
        let mut claims = Claims::new(lock::CALLER, first);
        locks.for_each(|lock| claims.add(lock));
        let Settings { wait, on_store_error, .. } = settings;
        let plan = lock::Plan { claims, wait, on_store_error };
        Ok(PlannedLock { coordinator, plan })
    }

    /// Adds the keys to the claims of a call that needs the lock.
    pub(super) fn add_to(
        self,
        claims: &mut Claims,
        coordinator: &Coordinator,
    ) -> Result<(), Error> {
        if !self.binding.coordinator()?.shares_store_with(coordinator) {
            return Err(wrong("a call and its lock need the same coordinator"));
        }
        self::claims(self.settings, self.keys?)?.for_each(|lock| claims.add(lock));
        Ok(())
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }
}

/// A claim for each of `keys`.
fn claims(settings: Settings, keys: Keys) -> Result<impl Iterator<Item = Claim>, Error> {
    let lease = settings.lease(FOREVER)?;
    Ok(keys.into_iter().map(move |key| settings.claim(LeaseRequest::new(key, lease))))
}
