//! Waiting for an occupied key: acquiring again when it may be free, which is also the takeover.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::line::Place;
use super::take::{Claim, Leases};
use crate::model::{Key, Occupant, RecordState};
use crate::store::BoxFuture;

/// The pauses between two looks where the store has no hint to give.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// A lease is tried again this long after it should have expired.
const PAST_EXPIRY: Duration = Duration::from_millis(1);

/// One caller's wait, over as many looks as it takes.
pub(crate) struct Waiting<'a> {
    leases: &'a Arc<Leases>,
    claims: &'a Arc<[Claim]>,
    since: Instant,
    place: Option<Place>,
    hint: Option<Hint>,
    pause: Duration,
}

/// What to do after having waited.
pub(crate) enum Turn {
    /// Ask the store again.
    Again,
    /// Somebody who asked for all of the line has the answer.
    Answered(Occupant),
    /// The time is up.
    TimedOut,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(leases: &'a Arc<Leases>, claims: &'a Arc<[Claim]>) -> Self {
        let since = Instant::now();
        Self { leases, claims, since, place: None, hint: None, pause: FIRST_PAUSE }
    }

    /// How long the caller has waited.
    pub(crate) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Tells an outcome to those who wait for it with this caller: one of them asks for all.
    pub(crate) fn share(&self, occupant: &Occupant) {
        let is_outcome = matches!(occupant.state, RecordState::Completed { .. });
        if is_outcome && self.place.is_some() {
            self.leases.lines.answer(occupant.clone());
        }
    }

    /// Waits until it is worth asking again for the key that `occupant` keeps, for `wait` in all.
    ///
    /// # Cancel safety
    /// Dropped, the caller leaves the line and the next one moves up.
    pub(crate) async fn next(&mut self, occupant: &Occupant, wait: Duration) -> Turn {
        let deadline = self.since + wait;
        if Instant::now() >= deadline {
            return Turn::TimedOut;
        }
        match &mut self.place {
            Some(place) if *place.key() == occupant.key => self.look_out(occupant, deadline).await,
            _ => self.line_up(&occupant.key, deadline).await,
        }
    }

    /// Comes to the head of the line, and asks again at once: what changed between the first look
    /// and the subscription would otherwise be missed.
    async fn line_up(&mut self, key: &Key, deadline: Instant) -> Turn {
        self.hint = None;
        self.pause = FIRST_PAUSE;
        let place = self.place.insert(self.leases.lines.join(key));
        let answered = place.answered();
        tokio::select! {
            biased;
            occupant = answered => return Turn::Answered(occupant),
            () = place.head() => {}
            () = sleep_until(deadline) => return Turn::TimedOut,
        }
        self.hint = Some(Hint::subscribe(self.leases, self.claims, key).await);
        Turn::Again
    }

    /// At the head of the line: waits for a hint, for the lease's end, or for the next look.
    async fn look_out(&mut self, occupant: &Occupant, deadline: Instant) -> Turn {
        if self.hint.as_ref().is_some_and(|hint| hint.fired) {
            self.hint = Some(Hint::subscribe(self.leases, self.claims, &occupant.key).await);
        }
        let (Some(place), Some(hint)) = (&self.place, &mut self.hint) else {
            return Turn::Again;
        };
        let mut pause = self.pause.mul_f64(0.75 + fastrand::f64() / 2.0);
        if let RecordState::InProgress { remaining } = occupant.state {
            pause = pause.min(remaining.saturating_add(PAST_EXPIRY));
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let next_look = Instant::now() + pause;
        tokio::select! {
            biased;
            occupant = place.answered() => return Turn::Answered(occupant),
            () = place.freed() => {}
            // One that is there at once says nothing, and would make this a loop without a pause.
            () = hint.changed(), if !hint.fired => {}
            () = sleep_until(next_look.min(deadline)) => {
                if next_look >= deadline {
                    return Turn::TimedOut;
                }
            }
        }
        if hint.fired {
            self.hint = Some(Hint::subscribe(self.leases, self.claims, &occupant.key).await);
        }
        Turn::Again
    }
}

/// A subscription to the store's hint that outlives one look.
struct Hint {
    changed: BoxFuture<'static, ()>,
    /// It has come; it must not be waited for again.
    fired: bool,
}

impl Hint {
    /// Subscribed when this resolves, which it does at once.
    async fn subscribe(leases: &Arc<Leases>, claims: &Arc<[Claim]>, key: &Key) -> Self {
        let (store, claims, key) = (Arc::clone(&leases.store), Arc::clone(claims), key.clone());
        let mut changed: BoxFuture<'static, ()> = Box::pin(async move {
            match &*claims {
                [claim] if claim.request.key == key => store.wait(&claim.request).await,
                // Of several keys the store cannot give one without the others.
                _ => store.changed(&key).await,
            }
        });
        let fired = poll_fn(|context| Poll::Ready(changed.as_mut().poll(context).is_ready())).await;
        Self { changed, fired }
    }

    async fn changed(&mut self) {
        self.changed.as_mut().await;
        self.fired = true;
    }
}
