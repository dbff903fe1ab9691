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
use super::patience::Patience;
use super::take::{Leases, Taken};
use crate::model::{Error, ErrorKind, Occupant, OnStoreError, RecordState};
use crate::store::runtime;

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
    /// The store has said, to this caller or to one before it in line, that a key is taken.
    is_taken: bool,
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
    /// Run without the store, which could not be reached.
    Unprotected(Error),
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(leases: &'a Arc<Leases>, claims: &'a Claims) -> Self {
        let since = Instant::now();
        let (begins, is_taken, looks) = (true, false, 0);
        Self { leases, claims, since, begins, is_taken, hint: None, looks, lead: None }
    }

    /// A patience that began when the caller came.
    pub(crate) fn patience(&self, limit: Duration) -> Patience {
        Patience::since(self.since, limit)
    }

    /// Comes to the store: at once, unless somebody in this process asks for the same thing or has
    /// it. Past `patience` the store is asked in any case, because only it can tell what is there.
    ///
    /// # Cancel safety
    /// Dropped, the caller leaves the line and the next one moves up.
    pub(crate) async fn begin(&mut self, patience: &Patience) -> Turn {
        let first = self.claims.first();
        let lines = &self.leases.lines;
        if self.leases.store.at_once().is_some() && !lines.has(&first.request.key) {
            // To ask is cheaper than to keep others from asking.
            return Turn::Ask;
        }
        // A caller that is in its own way must hear that from the store, and at once. One that is
        // outside of a runtime is told so when it asks.
        let may_wait = !patience.is_none() && !Frame::may_hold(&first.request.key);
        let may_wait = may_wait && runtime::current().is_ok();
        match lines.enter(self.claims, first, may_wait) {
            Entrance::Lead(lead) => self.lead = Some(lead),
            Entrance::Behind(place) => {
                self.begins = false;
                // Seldom, as every wait is, and large.
                let turn = Box::pin(self.stand(place, patience.deadline())).await;
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

    /// The store could not tell, and those behind ask for themselves: one after the other would take
    /// too long. What this caller does next, which `choice` says.
    ///
    /// # Errors
    /// `error`, if the caller is to be refused.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub(crate) async fn failed(
        &mut self,
        error: Error,
        choice: OnStoreError,
        patience: &Patience,
    ) -> Result<Turn, Error> {
        self.begins = false;
        if let Some(lead) = &self.lead {
            lead.scatter();
        }
        if choice == OnStoreError::Refuse || error.kind() != ErrorKind::StoreUnavailable {
            return Err(error);
        }
        if !self.knows_of_a_holder() {
            return Ok(Turn::Unprotected(error));
        }
        // To run without the store is for calls that nobody is known to run beside.
        if patience.is_over() {
            return Err(error);
        }
        (self.lead, self.hint) = (None, None);
        let pause = self.pause(PAUSES);
        sleep_until(patience.deadline().min(Instant::now() + pause)).await;
        Ok(Turn::Ask)
    }

    /// Whether the store has said that a key is taken, or somebody in this process holds it.
    fn knows_of_a_holder(&self) -> bool {
        let is_taken = |claim: &Claim| self.leases.lines.is_taken(&claim.request.key);
        self.is_taken || self.claims.iter().any(is_taken)
    }

    /// The wait is over: those behind wait for the end of `held` now.
    pub(crate) fn over(&mut self, mut held: Held) -> Held {
        if let Some(lead) = self.lead.take() {
            held.lead(lead);
        }
        held
    }

    /// Waits until it is worth asking again for the key that `occupant` keeps; `None` once the
    /// `patience` is over.
    ///
    /// # Cancel safety
    /// Dropped, the caller leaves the line and the next one moves up.
    pub(crate) async fn next(&mut self, occupant: &Occupant, patience: &Patience) -> Option<Turn> {
        (self.begins, self.is_taken) = (false, true);
        if patience.is_over() {
            return None;
        }
        let deadline = patience.deadline();
        if self.lead.as_ref().is_some_and(|lead| *lead.key() == occupant.key) {
            return Box::pin(self.look_out(occupant, deadline)).await;
        }
        // Whoever leads one line and waits in another could wait for itself.
        (self.lead, self.hint, self.looks) = (None, None, 0);
        let wanted = |claim: &&Claim| claim.request.key == occupant.key;
        let claim = self.claims.iter().find(wanted).unwrap_or(self.claims.first());
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
                    let turn = self.told(told.unwrap_or(Told::Alone { is_taken: false }));
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
            Told::Alone { is_taken } => self.is_taken |= is_taken,
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

    /// The time until the next look, longer each time.
    fn pause(&mut self, [first, longest]: [Duration; 2]) -> Duration {
        let pause = first.saturating_mul(1 << self.looks.min(16)).min(longest);
        self.looks += 1;
        pause.mul_f64(0.75 + fastrand::f64() / 2.0)
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
        let mut pause = self.pause(if is_called { PAUSES_BEHIND_A_CALL } else { PAUSES });
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
