//! A transaction whose server may not answer.

use std::future::Future;
use std::time::Duration;

use crate::lease::within;
use crate::store::sql::{Claim, DatabaseId, Joins, Purpose};
use crate::store::{Lease, LeaseRequest, StoreError, StoreErrorKind, StoredOutcome, Updated};

/// A claim may wait a second for another transaction, which is no reason to give it up.
const PATIENCE: Duration = Duration::from_secs(2);

/// Each statement has a limit. After one that was given up the transaction is of no use any more.
pub(crate) struct Tx<'tx> {
    joins: &'tx mut dyn Joins,
    limit: Limit,
}

struct Limit {
    length: Option<Duration>,
    is_over: bool,
}

impl<'tx> Tx<'tx> {
    pub(crate) fn new(joins: &'tx mut dyn Joins, limit: Duration) -> Self {
        let length = joins.may_hang().then_some(limit.max(PATIENCE));
        Self { joins, limit: Limit { length, is_over: false } }
    }

    /// Whether a statement was given up.
    pub(super) fn is_given_up(&self) -> bool {
        self.limit.is_over
    }

    pub(super) fn joins(&self) -> &dyn Joins {
        self.joins
    }

    pub(super) async fn claim(
        &mut self,
        home: DatabaseId,
        request: &LeaseRequest,
        purpose: Purpose,
    ) -> Result<Claim, StoreError> {
        self.limit.keep(self.joins.claim(home, request, purpose)).await
    }

    pub(super) async fn complete(
        &mut self,
        home: DatabaseId,
        lease: &Lease,
        outcome: &StoredOutcome,
        retention: Duration,
    ) -> Result<Updated, StoreError> {
        self.limit.keep(self.joins.complete(home, lease, outcome, retention)).await
    }

    pub(super) async fn release(
        &mut self,
        home: DatabaseId,
        lease: &Lease,
    ) -> Result<Updated, StoreError> {
        self.limit.keep(self.joins.release(home, lease)).await
    }

    pub(super) async fn save(&mut self) -> Result<(), StoreError> {
        self.limit.keep(self.joins.save()).await
    }

    pub(super) async fn restore(&mut self) -> Result<(), StoreError> {
        self.limit.keep(self.joins.restore()).await
    }
}

impl Limit {
    async fn keep<T>(
        &mut self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.is_over {
            return Err(unanswered());
        }
        within(self.length, work).await.unwrap_or_else(|| {
            self.is_over = true;
            Err(unanswered())
        })
    }
}

/// What `work` gives within `limit`.
pub(super) async fn answered<T>(
    limit: Option<Duration>,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    within(limit, work).await.unwrap_or_else(|| Err(unanswered()))
}

pub(super) fn unanswered() -> StoreError {
    let message = "the database of the transaction gives no answer";
    StoreError::new(StoreErrorKind::Unavailable, message)
}
