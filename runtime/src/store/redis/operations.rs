//! The operations of the store, on one server or on a cluster.

use std::sync::Arc;
use std::time::Duration;

use super::batch::One;
use super::node::Bounds;
use super::script::{By, Script, TOKENS};
use super::{LIMIT, RedisStore, Servers, acquire, update};
use crate::store::record::SPARE_TOKENS;
use crate::store::{
    Acquired, Asked, BoxFuture, Key, Lease, LeaseRequest, Store, StoreError, Update, Updated,
};

impl Store for RedisStore {
    /// # Cancel safety
    /// The keys are taken or not taken, all of them; dropping the future does not stop what was
    /// sent.
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move {
            if requests.is_empty() {
                return Ok(Acquired::Leases(Vec::new()));
            }
            let (bounds, offset) = (Bounds::of_now()?, self.offset());
            match &self.servers {
                Servers::One(node) => {
                    let answer = match requests {
                        [request] if offset == 0 => node.one(&bounds, One::Acquire(request)).await,
                        _ => {
                            let command =
                                |by: By<'_>| acquire::command(by, TOKENS, requests, offset);
                            node.run(&bounds, Script::Acquire, command).await
                        }
                    };
                    let answer = answer.and_then(|answer| acquire::answer(requests, answer));
                    answer.map_err(|failure| failure.at(node.shown()))
                }
                #[cfg(feature = "redis-cluster")]
                Servers::Cluster(cluster) => {
                    Box::pin(cluster.acquire(bounds, requests, offset)).await
                }
            }
        })
    }

    /// # Cancel safety
    /// The updates of one server are applied, all of them, or none; dropping the future does not
    /// stop what was sent.
    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async move {
            if updates.is_empty() {
                return Ok(Vec::new());
            }
            let (bounds, offset) = (Bounds::of_now()?, self.offset());
            match &self.servers {
                Servers::One(node) => {
                    let answer = match updates {
                        [update] if offset == 0 => node.one(&bounds, One::Update(update)).await,
                        _ => {
                            let command = |by: By<'_>| update::command(by, updates, offset);
                            node.run(&bounds, Script::Update, command).await
                        }
                    };
                    let answer = answer.and_then(|answer| update::answer(updates, answer));
                    answer.map_err(|failure| failure.at(node.shown()))
                }
                #[cfg(feature = "redis-cluster")]
                Servers::Cluster(cluster) => {
                    Box::pin(cluster.update(bounds, updates, offset)).await
                }
            }
        })
    }

    /// Without a connection it resolves at once: looking again opens one.
    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        let told = self.link(key).and_then(|link| link.watch(key.as_str()));
        Box::pin(async {
            if let Some(told) = told {
                told.await;
            }
        })
    }

    /// A request for a lock gets a place in a queue; others hear of every change.
    ///
    /// # Cancel safety
    /// Dropped, the place is given up, and a key that was handed over just then goes to the next.
    fn wait<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, ()> {
        if !request.is_plain() || !self.keeps_order() {
            return self.changed(&request.key);
        }
        let place = self.link(&request.key).and_then(|link| link.wait(request, self.offset()));
        Box::pin(async {
            if let Some(place) = place {
                place.called().await;
            }
        })
    }

    /// Where the call is heard the key is asked for, so that nobody has to wake before.
    ///
    /// # Cancel safety
    /// As [`wait`](Self::wait); what was asked for by then is given back too.
    fn wait_and_ask<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, Option<Asked>> {
        let node = match &self.servers {
            Servers::One(node) if request.is_plain() && self.offset() == 0 => node,
            _ => return Box::pin(waited(self.wait(request))),
        };
        let place = self.link(&request.key).and_then(|link| link.wait(request, 0));
        Box::pin(async {
            let answering = place?.called_to(request.clone()).await?;
            let (node, request, since) = (Arc::clone(node), request.clone(), answering.since);
            Some(Asked {
                since,
                answer: Box::pin(async move { node.heard(&request, answering).await }),
            })
        })
    }

    /// In a cluster all listen.
    fn keeps_order(&self) -> bool {
        matches!(self.servers, Servers::One(_))
    }

    /// In a cluster what was taken is given back after a failure, which may take longer.
    fn answers_within(&self) -> Option<Duration> {
        matches!(self.servers, Servers::One(_)).then_some(LIMIT)
    }

    fn spare_tokens(&self) -> u64 {
        SPARE_TOKENS
    }
}

/// Nothing was asked meanwhile.
async fn waited(wait: BoxFuture<'_, ()>) -> Option<Asked> {
    wait.await;
    None
}
