//! One look out for a key that may be free: by the store's hint, by the line, or by the clock.

use std::future::{pending, poll_fn, ready};
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::claims::Claims;
use super::take::{Leases, Taken};
use crate::model::{Error, Key};
use crate::store::{Asked, BoxFuture};

/// The time until it is worth asking again.
pub(super) struct Look {
    pub(super) hint: Option<Hint>,
    pub(super) freed: Arc<Notify>,
    /// What the store has asked by itself.
    pub(super) asked: Option<Asked>,
    /// When to ask although nothing was heard.
    pub(super) at: Instant,
    pub(super) deadline: Instant,
}

impl Look {
    /// Whether it was worth asking before the deadline.
    pub(super) async fn is_worth_asking(&mut self) -> bool {
        let changed = async {
            match &mut self.hint {
                // One that is there at once says nothing, and would make this a loop without a pause.
                Some(hint) if !hint.fired => hint.changed.as_mut().await,
                Some(_) | None => pending().await,
            }
        };
        tokio::select! {
            biased;
            asked = changed => {
                (self.hint, self.asked) = (None, asked);
                true
            }
            () = self.freed.notified() => true,
            () = sleep_until(self.at.min(self.deadline)) => self.at < self.deadline,
        }
    }

    /// Sends the request when it is worth it.
    ///
    /// # Cancel safety
    /// As [`Leases::take`], also of the answer.
    pub(super) async fn called(
        mut self,
        leases: Arc<Leases>,
        claims: Claims,
    ) -> (Option<Hint>, Option<Asking>) {
        if !self.is_worth_asking().await {
            return (self.hint, None);
        }
        let (sent, mut answer): (_, BoxFuture<'static, _>) = match self.asked.take() {
            Some(asked) => (asked.since, Box::pin(leases.take_asked(claims, asked))),
            None => {
                let sent = Instant::now();
                (sent, Box::pin(async move { leases.take(&claims, sent).await }))
            }
        };
        let asked = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        if let Poll::Ready(known) = asked {
            answer = Box::pin(ready(known));
        }
        (self.hint, Some(Asking { sent, answer }))
    }
}

/// A request that is on its way, since then.
pub(super) struct Asking {
    pub(super) sent: Instant,
    pub(super) answer: BoxFuture<'static, Result<Taken, Error>>,
}

/// A subscription to the store's hint that outlives one look.
pub(super) struct Hint {
    changed: BoxFuture<'static, Option<Asked>>,
    /// It was there at once; it must not be waited for.
    pub(super) fired: bool,
}

impl Hint {
    /// Subscribed when this resolves, which it does at once.
    pub(super) async fn subscribe(leases: &Arc<Leases>, claims: &Claims, key: &Key) -> Self {
        let (store, claims, key) = (Arc::clone(&leases.store), claims.clone(), key.clone());
        let mut changed: BoxFuture<'static, _> = Box::pin(async move {
            match claims.only() {
                Some(claim) if claim.request.key == key => store.wait_and_ask(&claim.request).await,
                // Of several keys the store cannot give one without the others.
                _ => {
                    store.changed(&key).await;
                    None
                }
            }
        });
        match poll_fn(|context| Poll::Ready(changed.as_mut().poll(context))).await {
            // The answer is on its way.
            Poll::Ready(Some(asked)) => {
                Self { changed: Box::pin(ready(Some(asked))), fired: false }
            }
            Poll::Ready(None) => Self { changed, fired: true },
            Poll::Pending => Self { changed, fired: false },
        }
    }
}
