//! What callers want, on its way to the database and back.

use tokio::sync::oneshot;

use super::failure::Failure;
use super::lane::Job;
use crate::store::{Acquired, Key, Lease, LeaseRequest, Update, Updated};

/// Keys that somebody wants, all or none.
pub(super) struct Take {
    pub(super) requests: Vec<LeaseRequest>,
    pub(super) reply: oneshot::Sender<Result<Option<Acquired>, Failure>>,
}

/// Updates of different keys.
pub(super) struct Change {
    pub(super) updates: Vec<(Lease, Update)>,
    pub(super) reply: oneshot::Sender<Result<Vec<Option<Updated>>, Failure>>,
}

impl Job for Take {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.requests.iter().map(|request| &request.key)
    }

    fn weight(&self) -> usize {
        0
    }
}

impl Job for Change {
    fn keys(&self) -> impl Iterator<Item = &Key> {
        self.updates.iter().map(|(lease, _)| &lease.key)
    }

    fn weight(&self) -> usize {
        let outcomes = self.updates.iter().map(|(_, update)| match update {
            Update::Complete { outcome, .. } => outcome.payload().len(),
            _ => 0,
        });
        outcomes.sum()
    }
}
