//! One request to the store for all keys of a call, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::background::{Background, Completing};
use super::claims::Claims;
use super::close::Unrenewed;
use super::doubt::{Doubted, Doubts};
use super::group::{Group, Member};
use super::heartbeat::Heartbeat;
use super::held::Held;
use super::limit::within;
use super::line::Lines;
use super::renewer::{Renewer, Watch};
use super::runtimes::Runtimes;
use crate::model::{Acquired, Error, ErrorKind, Lease, LeaseRequest, Occupant, Update, Updated};
use crate::store::{Asked, BoxFuture, Store, StoreError, StoreErrorKind};

/// The leases of one coordinator: where they are taken, and everything that keeps them.
#[derive(Debug)]
pub(crate) struct Leases {
    pub(super) store: Arc<dyn Store>,
    pub(super) lines: Arc<Lines>,
    pub(super) renewer: Renewer,
    pub(super) background: Background,
    pub(super) doubts: Doubts,
    pub(super) unrenewed: Unrenewed,
    heartbeat: Heartbeat,
    /// How many may share one lease of the store, each with a token of its own.
    pub(super) spare_tokens: u64,
    /// Whether the store serves those who wait in their order, whatever their process.
    pub(super) keeps_order: bool,
    pub(super) store_timeout: Duration,
    /// As the store says, if it sees to that itself.
    answers_within: Option<Duration>,
    pub(super) closing: AtomicBool,
}

/// The answer to a take.
pub(crate) enum Taken {
    Held(Held),
    Occupied(Occupant),
}

impl Leases {
    pub(crate) fn new(store: Arc<dyn Store>, store_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            spare_tokens: store.spare_tokens(),
            keeps_order: store.keeps_order(),
            answers_within: store.answers_within(),
            store,
            lines: Arc::default(),
            renewer: Renewer::default(),
            background: Background::default(),
            doubts: Doubts::default(),
            unrenewed: Unrenewed::default(),
            heartbeat: Heartbeat::default(),
            store_timeout,
            closing: AtomicBool::new(false),
        })
    }

    /// Takes every claim or none, in one request to the store that is `sent` now: the leases count
    /// from then.
    ///
    /// # Cancel safety
    /// A request that is dropped on its way, or that takes longer than the store's time limit, goes
    /// on by itself and gives back what it took.
    pub(crate) async fn take(
        self: &Arc<Self>,
        claims: &Claims,
        sent: Instant,
    ) -> Result<Taken, Error> {
        let runtime = Runtimes::current()?;
        if let (Some(store), Some(claim)) = (self.store.at_once(), claims.only()) {
            self.check_open()?;
            let taken = match store.acquire_one(&claim.request) {
                Ok(lease) => {
                    self.watch_from(&runtime);
                    self.granted(lease, Vec::new(), claims, sent)
                }
                Err(occupant) => occupied(claims, occupant)?,
            };
            // Nothing is on its way, so a shutdown need not know of it: what was taken after it had
            // begun is given back here.
            self.check_open()?;
            return Ok(taken);
        }
        self.watch_from(&runtime);
        // A shutdown waits for whoever has come this far.
        let _asking = self.background.token();
        self.check_open()?;
        self.heartbeat.keep(&runtime);
        let (leases, claims) = (Arc::clone(self), claims.clone());
        let request = async move {
            let doubted = Doubted::new(&leases, &claims);
            let answer = leases.ask(&claims, sent).await;
            doubted.insist(sent, answer).await
        };
        self.answer_of(Box::pin(request)).await
    }

    /// As [`take`](Self::take), where the store has sent the request.
    ///
    /// # Cancel safety
    /// As [`take`](Self::take).
    pub(super) async fn take_asked(
        self: Arc<Self>,
        claims: Claims,
        asked: Asked,
    ) -> Result<Taken, Error> {
        // What was asked is awaited also where nobody wants it any more.
        let _asking = self.background.token();
        self.answer_of(Box::pin(Arc::clone(&self).request_asked(claims, asked))).await
    }

    /// What comes of a request.
    async fn answer_of(
        self: &Arc<Self>,
        request: BoxFuture<'static, Result<Taken, StoreError>>,
    ) -> Result<Taken, Error> {
        // The store is asked twice.
        let limit = self.limit(self.store_timeout, 2);
        let answer = within(limit, Completing::new(self, request)).await;
        let taken = answer.unwrap_or_else(|| Err(self.too_late()))?;
        // What was granted too late, for us or for the lease, is given back by its drop.
        self.check_open()?;
        match taken {
            Taken::Held(held) if held.group().remaining().is_zero() => Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the store took longer to grant the lease than the lease lasts",
            )
            .into()),
            taken => Ok(taken),
        }
    }

    fn granted(
        self: &Arc<Self>,
        first: Lease,
        others: Vec<Member>,
        claims: &Claims,
        sent: Instant,
    ) -> Taken {
        let group = Group::new(first, others, claims, sent);
        Taken::Held(Held::new(Arc::clone(self), group))
    }

    /// The current runtime, from where leases are renewed from now on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfiguration`] outside of a tokio runtime.
    pub(super) fn runtime(self: &Arc<Self>) -> Result<Handle, Error> {
        let runtime = Runtimes::current()?;
        self.watch_from(&runtime);
        Ok(runtime)
    }

    /// Leases are renewed from `runtime` as well.
    fn watch_from(self: &Arc<Self>, runtime: &Handle) {
        if self.background.runtimes().see(runtime) {
            runtime.spawn(Watch::new(self, runtime.clone()).run());
        }
    }

    /// Where the records are.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// # Errors
    /// [`ErrorKind::ShuttingDown`] once a shutdown has begun.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.is_closing() {
            return Err(Error::new(ErrorKind::ShuttingDown, "the coordinator is shutting down"));
        }
        Ok(())
    }

    async fn request_asked(
        self: Arc<Self>,
        claims: Claims,
        asked: Asked,
    ) -> Result<Taken, StoreError> {
        let Asked { since, answer } = asked;
        let doubted = Doubted::new(&self, &claims);
        let answer = self.answer(&claims, answer).await;
        let answer = answer.and_then(|acquired| self.taken(&claims, since, acquired));
        doubted.insist(since, answer).await
    }

    /// Sends a request once, which was `sent` for the first time then.
    pub(super) async fn ask(
        self: &Arc<Self>,
        claims: &Claims,
        sent: Instant,
    ) -> Result<Taken, StoreError> {
        let several: Vec<LeaseRequest>;
        let requests = match claims.only() {
            Some(claim) => std::slice::from_ref(&claim.request),
            None => {
                several = claims.iter().map(|claim| claim.request.clone()).collect();
                &several[..]
            }
        };
        let acquired = self.answer(claims, self.store.acquire(requests)).await?;
        self.taken(claims, sent, acquired)
    }

    /// The answer to a request for `claims`, which is given up after the store's time limit or the
    /// length of the lease, whichever is longer: until then a late grant is still worth giving back.
    async fn answer(
        &self,
        claims: &Claims,
        answer: BoxFuture<'_, Result<Acquired, StoreError>>,
    ) -> Result<Acquired, StoreError> {
        let patience = claims.iter().map(|claim| claim.request.lease).max().unwrap_or_default();
        let limit = self.limit(patience.max(self.store_timeout), 1);
        within(limit, answer).await.unwrap_or_else(|| Err(self.too_late()))
    }

    /// What an answer to a request for `claims` means that was `sent` then.
    fn taken(
        self: &Arc<Self>,
        claims: &Claims,
        sent: Instant,
        acquired: Acquired,
    ) -> Result<Taken, StoreError> {
        let leases = match acquired {
            Acquired::Leases(leases) => leases,
            Acquired::Occupied(occupant) => return occupied(claims, occupant),
        };
        let are_all = leases.len() == claims.iter().count();
        let mut leases = leases.into_iter();
        match leases.next().filter(|_| are_all) {
            Some(first) => {
                let others = leases.zip(claims.others());
                let others = others.map(|(lease, claim)| Member::new(lease, claim)).collect();
                Ok(self.granted(first, others, claims, sent))
            }
            None => Err(another_question()),
        }
    }

    /// Sends updates once, within the store's time limit.
    pub(super) async fn send(
        &self,
        updates: &[(Lease, Update)],
    ) -> Result<Vec<Updated>, StoreError> {
        let limit = self.limit(self.store_timeout, 1);
        match within(limit, self.store.update(updates)).await {
            Some(Ok(answers)) if answers.len() == updates.len() => Ok(answers),
            Some(Ok(_)) => Err(another_question()),
            Some(Err(error)) => Err(error),
            None => Err(self.too_late()),
        }
    }

    /// How long the store may take for an answer.
    pub(crate) fn store_timeout(&self) -> Duration {
        self.store_timeout
    }

    /// The limit for so many questions, unless the store will have answered them by then.
    fn limit(&self, limit: Duration, questions: u32) -> Option<Duration> {
        let answered = self.answers_within.map(|answer| answer.saturating_mul(questions));
        answered.is_none_or(|answered| answered > limit).then_some(limit)
    }

    fn too_late(&self) -> StoreError {
        let limit = self.store_timeout;
        StoreError::new(StoreErrorKind::Unavailable, format!("no answer within {limit:?}"))
    }

    /// A call that goes on in the background when it is dropped half-way. A shutdown waits for it.
    pub(crate) fn detach<T: Send + 'static>(
        self: &Arc<Self>,
        call: BoxFuture<'static, T>,
    ) -> Result<impl Future<Output = T>, Error> {
        self.runtime()?;
        Ok(Completing::counted(self, call))
    }
}

/// Only what is claimed can stand in the way: to wait for anything else would have no end.
fn occupied(claims: &Claims, occupant: Occupant) -> Result<Taken, StoreError> {
    let is_claimed = claims.iter().any(|claim| claim.request.key == occupant.key);
    is_claimed.then_some(Taken::Occupied(occupant)).ok_or_else(another_question)
}

fn another_question() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "the store answered another question")
}

impl Drop for Leases {
    fn drop(&mut self) {
        self.renewer.stop();
    }
}
