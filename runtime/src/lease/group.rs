//! The leases of one call, which are kept or lost together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::report::report_loss;
use super::take::Claim;
use crate::model::{Key, Lease, Update};

/// The leases of one call, and until when the local clock trusts them.
#[derive(Debug)]
pub(crate) struct Group {
    members: Vec<Member>,
    /// When renewal stops.
    hold_until: Instant,
    /// The shortest lease of the members: all are renewed together.
    lease: Duration,
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

#[derive(Debug)]
struct Member {
    lease: Lease,
    length: Duration,
}

impl Group {
    /// `leases` were granted for `claims`, by a request sent at `sent`.
    pub(super) fn new(leases: Vec<Lease>, claims: &[Claim], sent: Instant) -> Self {
        let shortest = |of: fn(&Claim) -> Duration| claims.iter().map(of).min().unwrap_or_default();
        let lease = shortest(|claim| claim.request.lease);
        let lengths = claims.iter().map(|claim| claim.request.lease);
        let members = leases.into_iter().zip(lengths);
        let group = Self {
            members: members.map(|(lease, length)| Member { lease, length }).collect(),
            hold_until: sent + shortest(|claim| claim.max_hold),
            lease,
            taken: sent,
            trusted: AtomicU64::new(0),
            started: AtomicBool::new(false),
            handed_out: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            lost: Notify::new(),
        };
        let trusted = group.trust_from(sent);
        group.trusted.store(trusted, Ordering::Release);
        group
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.members.iter().map(|member| &member.lease)
    }

    pub(crate) fn key(&self) -> Option<&Key> {
        self.leases().next().map(|lease| &lease.key)
    }

    pub(super) fn lease(&self) -> Duration {
        self.lease
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

    /// Resolves when the leases are lost.
    pub(crate) async fn lost(&self) {
        let told = self.lost.notified();
        if !self.is_lost() {
            told.await;
        }
    }

    /// A future that resolves when somebody finds the leases lost after this call.
    pub(super) fn told(&self) -> tokio::sync::futures::Notified<'_> {
        self.lost.notified()
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
        self.renewal_after(self.taken)
    }

    /// The next moment to renew after a grant at `sent`; `None` if the lease already lasts as long
    /// as the key may be held.
    pub(super) fn renewal_after(&self, sent: Instant) -> Option<Instant> {
        let renewal = sent + self.lease / 3;
        (sent + self.lease < self.hold_until).then_some(renewal)
    }

    /// When to try again after a renewal that failed: one failed renewal is not a loss.
    pub(super) fn retry_after(&self, now: Instant) -> Instant {
        now + (self.lease / 10).clamp(Duration::from_millis(5), Duration::from_secs(1))
    }

    pub(super) fn renewals(&self, now: Instant) -> impl Iterator<Item = (Lease, Update)> {
        let left = self.hold_until.saturating_duration_since(now);
        self.members.iter().map(move |member| {
            (member.lease.clone(), Update::Renew { lease: member.length.min(left) })
        })
    }

    /// Trusts the leases anew after a renewal sent at `sent`, unless they were lost meanwhile.
    pub(super) fn extend(&self, sent: Instant) {
        let renewed = self.trust_from(sent);
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

    /// The lease less a margin for clocks that do not run alike: 1 % and 2 ms, as Redlock has it.
    fn trust_from(&self, sent: Instant) -> u64 {
        let until = (sent + self.lease).min(self.hold_until);
        let margin = self.lease / 100 + Duration::from_millis(2);
        let trusted = until.duration_since(self.taken).saturating_sub(margin);
        u64::try_from(trusted.as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}
