//! The leases of one call, which are kept or lost together.

use std::future::{Future, poll_fn};
use std::iter::once;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

use super::call::{Caller, Title};
use super::claims::{Claim, Claims};
use super::report::report_loss;
use crate::model::{Key, Lease, Update};

/// The leases of one call, and until when the local clock trusts them.
#[derive(Debug)]
pub(crate) struct Group {
    /// The call, with the lease that it is named after.
    title: Title,
    length: Duration,
    /// Nearly always none.
    others: Vec<Member>,
    /// How long after `taken` renewal stops.
    max_hold: Duration,
    /// How many in this process had the leases before, without giving them back in between.
    turn: u64,
    /// The shortest of all lengths: the leases are renewed together.
    shortest: Duration,
    taken: Instant,
    /// Nanoseconds after `taken` until which every lease is certainly held; 0 once one is lost.
    trusted: AtomicU64,
    /// Whether the body has been polled: from then on a dropped call was interrupted.
    started: AtomicBool,
    /// Whether somebody has the keys as a value, and decides when they are given back.
    handed_out: AtomicBool,
    /// Whether the store is being told how the call ended.
    ending: AtomicBool,
    lost: Notify,
}

/// One lease of several.
#[derive(Debug)]
pub(super) struct Member {
    lease: Lease,
    length: Duration,
}

impl Member {
    /// `lease` was granted for `claim`.
    pub(super) fn new(lease: Lease, claim: &Claim) -> Self {
        Self { lease, length: claim.request.lease }
    }
}

impl Group {
    /// `first` and the `others` were granted for `claims`, by a request sent at `sent`.
    pub(super) fn new(first: Lease, others: Vec<Member>, claims: &Claims, sent: Instant) -> Self {
        let claim = claims.first();
        let max_hold = claims.others().iter().map(|claim| claim.max_hold);
        let max_hold = max_hold.fold(claim.max_hold, Duration::min);
        let first = Member::new(first, claim);
        Self::trusting(&claims.caller, first, others, sent, max_hold, 0)
    }

    /// The same lease for the next holder, who wants it for `claims`; `None` if that is not the
    /// same to the store, and to whoever would follow if this process died.
    ///
    /// A renewal by the holder before that arrives late is one of full length, so it takes nothing
    /// away.
    pub(super) fn handed_to(&self, claims: &Claims) -> Option<Self> {
        let now = Instant::now();
        let (claim, lease) = (claims.only()?, self.only()?.clone());
        let length = self.length;
        let as_fresh = lease.attempt == 1
            && length == claim.request.lease
            && self.left(now) >= length
            && self.remaining() >= length / 2;
        // As if granted when the store last heard of it.
        let sent = self.trusted_until().checked_sub(length)? + margin(length);
        let max_hold = now.saturating_duration_since(sent) + claim.max_hold;
        let member = Member::new(lease, claim);
        as_fresh.then(|| {
            let turn = self.turn + 1;
            Self::trusting(&claims.caller, member, Vec::new(), sent, max_hold, turn)
        })
    }

    fn trusting(
        caller: &Caller,
        first: Member,
        others: Vec<Member>,
        taken: Instant,
        max_hold: Duration,
        turn: u64,
    ) -> Self {
        let Member { lease, length } = first;
        let token = lease.token.value() + turn;
        let shortest = others.iter().map(|member| member.length).fold(length, Duration::min);
        Self {
            title: Title::new(caller, lease, token),
            length,
            shortest,
            others,
            max_hold,
            turn,
            taken,
            trusted: AtomicU64::new(trusted_for(shortest.min(max_hold), shortest)),
            started: AtomicBool::new(false),
            handed_out: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            lost: Notify::new(),
        }
    }

    pub(super) fn title(&self) -> &Title {
        &self.title
    }

    /// The token for the resource that checks it, of several keys the first one's: each holder has
    /// its own, also those who share a lease of the store, which leaves room for them.
    pub(crate) fn fencing_token(&self) -> u64 {
        self.title.token()
    }

    fn first(&self) -> &Lease {
        &self.title.lease
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        once(self.first()).chain(self.others.iter().map(|member| &member.lease))
    }

    /// The lease, if it is but one.
    pub(super) fn only(&self) -> Option<&Lease> {
        self.others.is_empty().then_some(self.first())
    }

    /// The key that the call is named after.
    pub(crate) fn key(&self) -> &Key {
        &self.first().key
    }

    pub(super) fn shortest(&self) -> Duration {
        self.shortest
    }

    /// When the leases were asked for, or handed over.
    pub(super) fn taken(&self) -> Instant {
        self.taken
    }

    /// When the local clock stops trusting the leases.
    pub(crate) fn trusted_until(&self) -> Instant {
        self.taken + Duration::from_nanos(self.trusted.load(Ordering::Acquire))
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.trusted_until().saturating_duration_since(Instant::now())
    }

    /// Whether the body must stop. Asks only the local clock, so it works while the store is
    /// unreachable and after the process was paused.
    pub(crate) fn is_lost(&self) -> bool {
        let expired = Instant::now() >= self.trusted_until();
        if expired {
            self.lose("its lease ran out before it could be renewed");
        }
        expired
    }

    /// Resolves when the leases are lost: somebody says so, or the clock of whoever waits, who must
    /// hear of it although nobody else is awake. A body that is ready at once never comes to wait, and
    /// costs no timer.
    pub(super) async fn lost(&self) {
        let mut told = pin!(self.lost.notified());
        let mut timer: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            if self.is_lost() || told.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(self.trusted_until())));
            while timer.as_mut().poll(context).is_ready() {
                if self.is_lost() {
                    return Poll::Ready(());
                }
                // Renewed meanwhile.
                timer.as_mut().reset(self.trusted_until());
            }
            Poll::Pending
        })
        .await;
    }

    /// Gives the leases up for lost; the first to notice reports it.
    pub(super) fn lose(&self, why: &str) {
        if self.trusted.swap(0, Ordering::AcqRel) != 0 {
            report_loss(self.key(), why);
        }
        self.lost.notify_waiters();
    }

    /// The store is being told how the call ended: a renewal that crosses this on its way finds the
    /// key given back, which is no loss.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Stops trusting the leases without a report: somebody decided so.
    pub(super) fn stop(&self) {
        self.trusted.store(0, Ordering::Release);
        self.lost.notify_waiters();
    }

    pub(super) fn first_renewal(&self) -> Option<Instant> {
        (self.shortest < self.max_hold).then(|| self.taken + self.shortest / 3)
    }

    /// For how long it may still be held.
    fn left(&self, now: Instant) -> Duration {
        self.max_hold.saturating_sub(now.saturating_duration_since(self.taken))
    }

    /// The next moment to renew after a grant at `sent`; `None` if the lease already lasts as long
    /// as the key may be held.
    pub(super) fn renewal_after(&self, sent: Instant) -> Option<Instant> {
        (self.shortest < self.left(sent)).then(|| sent + self.shortest / 3)
    }

    /// When to try again after a renewal that failed: one failed renewal is not a loss.
    pub(super) fn retry_after(&self, now: Instant) -> Instant {
        now + (self.shortest / 10).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    pub(super) fn renewals(&self, now: Instant) -> impl Iterator<Item = (Lease, Update)> {
        let left = self.left(now);
        let others = self.others.iter().map(|member| (&member.lease, member.length));
        once((self.first(), self.length))
            .chain(others)
            .map(move |(lease, length)| (lease.clone(), Update::Renew { lease: length.min(left) }))
    }

    /// Trusts the leases anew after a renewal sent at `sent`, unless they were lost meanwhile.
    pub(super) fn extend(&self, sent: Instant) {
        let since = sent.saturating_duration_since(self.taken);
        let renewed = trusted_for((since + self.shortest).min(self.max_hold), self.shortest);
        let _ = self.trusted.fetch_update(Ordering::AcqRel, Ordering::Acquire, |trusted| {
            (trusted != 0).then_some(trusted.max(renewed))
        });
    }

    pub(super) fn start(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// The keys are a value from now on: to drop it is to be done with them.
    pub(crate) fn hand_out(&self) {
        self.handed_out.store(true, Ordering::Release);
    }

    /// Whether somebody is at work who ends in time if they are told so, or has ended.
    pub(super) fn ends_by_itself(&self) -> bool {
        self.is_ending() || !self.handed_out.load(Ordering::Acquire)
    }

    /// Whether the keys come back as if nothing had happened under them.
    pub(super) fn is_clean(&self) -> bool {
        self.given_back().all(|(_, update)| matches!(update, Update::Release))
    }

    /// What to tell the store when the call ends without an outcome of its own.
    ///
    /// What was taken over from a call that stopped half-way stays half-way, also if this one has
    /// not begun: released, the next would take itself for the first.
    pub(super) fn given_back(&self) -> impl Iterator<Item = (Lease, Update)> {
        let started = self.started.load(Ordering::Acquire);
        let handed_out = self.handed_out.load(Ordering::Acquire);
        self.leases().map(move |lease| {
            let half_way = started || (lease.attempt > 1 && !handed_out);
            (lease.clone(), if half_way { Update::Interrupt } else { Update::Release })
        })
    }
}

/// Nanoseconds of what is `granted`, less the margin of a lease of this `length`; never 0.
fn trusted_for(granted: Duration, length: Duration) -> u64 {
    let trusted = granted.saturating_sub(margin(length));
    u64::try_from(trusted.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// For clocks that do not run alike: 1 % and 2 ms, as Redlock has it.
fn margin(length: Duration) -> Duration {
    length / 100 + Duration::from_millis(2)
}
