//! Waiting for an occupied key: acquiring again when it may be free, which is also the takeover.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::call::Frame;
use super::claims::{Claim, Claims};
use super::held::Held;
use super::line::{Entrance, Lead, Place, Told};
use super::look::{Asking, Hint, Look};
use super::take::{Leases, Taken};
use crate::model::{Error, Occupant, RecordState};

/// The first and the longest pause between two looks; a store may have no hint to give.
const PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(100)];
/// The same where the store calls those who wait: only a call that was lost makes these matter.
const PAUSES_BEHIND_A_CALL: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];
/// What should be over is looked at this long after.
const PAST_THE_END: Duration = Duration::from_millis(1);

/// One caller's wait, over as many looks as it takes.
pub(crate) struct Waiting<'a> {
    leases: &'a Arc<Leases>,
    claims: &'a Claims,
    since: Instant,
    /// Nothing has happened since then.
    begins: bool,
    hint: Option<Hint>,
    looks: u32,
    lead: Option<Lead>,
}

/// What to do next.
pub(crate) enum Turn {
    /// Ask the store.
    Ask,
    /// Nothing: it was asked then.
    Asked(Instant, Result<Taken, Error>),
    /// Nothing: whoever held all the keys has handed them over.
    Held(Held),
    /// Nothing: somebody who asked for all of the line has the answer.
    Answered(Occupant),
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(leases: &'a Arc<Leases>, claims: &'a Claims) -> Self {
        let since = Instant::now();
        Self { leases, claims, since, begins: true, hint: None, looks: 0, lead: None }
    }

    /// How long the caller has waited.
    pub(crate) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Comes to the store: at once, unless somebody in this process asks for the same thing or has
    /// it. Past `wait` the store is asked in any case, because only it can tell what is there.
    ///
    /// # Cancel safety
    /// Dropped, the caller leaves the line and the next one moves up.
    pub(crate) async fn begin(&mut self, wait: Duration) -> Turn {
        let first = self.claims.first();
        let lines = &self.leases.lines;
        if self.leases.store.at_once().is_some() && !lines.has(&first.request.key) {
            // To ask is cheaper than to keep others from asking.
            return Turn::Ask;
        }
        // A caller that is in its own way must hear that from the store, and at once.
        let may_wait = !wait.is_zero() && !Frame::may_hold(&first.request.key);
        match lines.enter(self.claims, first, may_wait) {
            Entrance::Lead(lead) => self.lead = Some(lead),
            Entrance::Behind(place) => {
                self.begins = false;
                // Seldom, as every wait is, and large.
                let turn = Box::pin(self.stand(place, self.since + wait)).await;
                return turn.unwrap_or(Turn::Ask);
            }
            Entrance::Alone => {}
        }
        Turn::Ask
    }

    /// Asks the store for all keys.
    ///
    /// # Cancel safety
    /// As [`Leases::take`].
    pub(crate) fn ask(&self) -> impl Future<Output = Result<Taken, Error>> + use<'a> {
        let sent = if self.begins { self.since } else { Instant::now() };
        self.leases.take(self.claims, sent)
    }

    /// Tells an outcome to those who wait for it with this caller: one of them asks for all.
    pub(crate) fn share(&self, occupant: &Occupant) {
        let is_outcome = matches!(occupant.state, RecordState::Completed { .. });
        if is_outcome && self.lead.is_some() {
            self.leases.lines.answer(&occupant.key, || occupant.clone());
        }
    }

    /// The store could not tell: those behind ask for themselves, for one after the other would take
    /// too long.
    pub(crate) fn failed(&self) {
        if let Some(lead) = &self.lead {
            lead.scatter();
        }
    }

    /// The wait is over: those behind wait for the end of `held` now.
    pub(crate) fn over(&mut self, mut held: Held) -> Held {
        if let Some(lead) = self.lead.take() {
            held.lead(lead);
        }
        held
    }

    /// Waits until it is worth asking again for the key that `occupant` keeps; `None` once the
    /// caller has waited for `wait` in all.
    ///
    /// # Cancel safety
    /// Dropped, the caller leaves the line and the next one moves up.
    pub(crate) async fn next(&mut self, occupant: &Occupant, wait: Duration) -> Option<Turn> {
        self.begins = false;
        let deadline = self.since + wait;
        if Instant::now() >= deadline {
            return None;
        }
        if self.lead.as_ref().is_some_and(|lead| *lead.key() == occupant.key) {
            return Box::pin(self.look_out(occupant, deadline)).await;
        }
        // Whoever leads one line and waits in another could wait for itself.
        (self.lead, self.hint, self.looks) = (None, None, 0);
        let wanted = |claim: &&Claim| claim.request.key == occupant.key;
        let Some(claim) = self.claims.iter().find(wanted) else { return Some(Turn::Ask) };
        match self.leases.lines.join(self.claims, claim) {
            Entrance::Lead(lead) => self.lead = Some(lead),
            Entrance::Behind(place) => return Box::pin(self.stand(place, deadline)).await,
            Entrance::Alone => return Some(Turn::Ask),
        }
        Box::pin(self.look_out(occupant, deadline)).await
    }

    /// Behind the lead: until the line moves, or the lead is stuck.
    async fn stand(&mut self, mut place: Place, deadline: Instant) -> Option<Turn> {
        loop {
            let look = place.due() + PAST_THE_END;
            tokio::select! {
                biased;
                told = &mut place.told => {
                    let turn = self.told(told.unwrap_or(Told::Alone));
                    return Some(self.after_others(turn, deadline).await);
                }
                () = sleep_until(look.min(deadline)) => {}
            }
            if Instant::now() >= deadline {
                return None;
            }
            place.pass_over();
        }
    }

    /// Where the store keeps no order among processes, theirs comes now and then before ours.
    async fn after_others(&mut self, turn: Turn, deadline: Instant) -> Turn {
        if let (Turn::Ask, Some(lead), false) = (&turn, &self.lead, self.leases.keeps_order)
            && let Some(pause) = lead.courtesy()
        {
            sleep_until(deadline.min(Instant::now() + pause)).await;
        }
        turn
    }

    fn told(&mut self, told: Told) -> Turn {
        match told {
            Told::Lead(lead) => self.lead = Some(lead),
            Told::Answer(occupant) => return Turn::Answered(occupant),
            Told::Alone => {}
            Told::Lease(_) if self.leases.is_closing() => {}
            Told::Lease(offer) => {
                // Whoever never asked the store themselves has yet to be seen here.
                let _ = self.leases.runtime();
                if let Some(held) = offer.take() {
                    return Turn::Held(held);
                }
            }
        }
        Turn::Ask
    }

    /// With the lead: waits for a hint, for the lease's end, or for the next look.
    async fn look_out(&mut self, occupant: &Occupant, deadline: Instant) -> Option<Turn> {
        let hint = match &mut self.hint {
            Some(hint) => hint,
            None => {
                let hint = Hint::subscribe(self.leases, self.claims, &occupant.key).await;
                let looks_itself = self.leases.keeps_order
                    && self.claims.only().is_some_and(|claim| claim.request.is_plain());
                let hint = self.hint.insert(hint);
                if !looks_itself || hint.fired {
                    // What changed between the last look and the subscription would be missed.
                    return Some(Turn::Ask);
                }
                hint
            }
        };
        let is_called = self.leases.keeps_order && !hint.fired;
        let [first, longest] = if is_called { PAUSES_BEHIND_A_CALL } else { PAUSES };
        let pause = first.saturating_mul(1 << self.looks.min(16)).min(longest);
        self.looks += 1;
        let mut pause = pause.mul_f64(0.75 + fastrand::f64() / 2.0);
        if let RecordState::InProgress { remaining } = occupant.state {
            pause = pause.min(remaining.saturating_add(PAST_THE_END));
        }
        let next_look = Instant::now() + pause;
        let Some(freed) = self.lead.as_ref().and_then(|lead| lead.waits(next_look)) else {
            // Passed over: somebody else asks for all.
            self.lead = None;
            return Some(Turn::Ask);
        };
        let hint = self.hint.take();
        let mut look = Look { hint, freed, asked: None, at: next_look, deadline };
        if !is_called {
            let is_worth_it = look.is_worth_asking().await;
            self.hint = look.hint;
            if let Some(asked) = look.asked {
                let (leases, claims) = (Arc::clone(self.leases), self.claims.clone());
                return Some(Turn::Asked(asked.since, leases.take_asked(claims, asked).await));
            }
            return is_worth_it.then_some(Turn::Ask);
        }
        // On a task of its own: it runs where the call is heard, and asks from there. The caller may
        // be on a thread that sleeps, and wakes while the store answers.
        let called = look.called(Arc::clone(self.leases), self.claims.clone());
        let (hint, asking) = match Handle::try_current() {
            Ok(runtime) => match AbortOnDropHandle::new(runtime.spawn(called)).await {
                Ok(called) => called,
                Err(_) => return Some(Turn::Ask),
            },
            Err(_) => called.await,
        };
        self.hint = hint;
        let Asking { sent, answer } = asking?;
        Some(Turn::Asked(sent, answer.await))
    }
}
