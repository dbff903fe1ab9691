//! The leases of one call, which are kept or lost together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use smallvec::{SmallVec, smallvec};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::report::report_loss;
use super::take::Claim;
use crate::model::{Key, Lease, Update};

/// The leases of one call, and until when the local clock trusts them.
#[derive(Debug)]
pub(crate) struct Group {
    members: Members,
    /// When renewal stops.
    hold_until: Instant,
    /// How many in this process had the leases before, without giving them back in between.
    turn: u64,
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

/// Nearly always one.
type Members = SmallVec<[Member; 1]>;

#[derive(Debug)]
struct Member {
    lease: Lease,
    length: Duration,
}

impl Group {
    /// `leases` were granted for `claims`, by a request sent at `sent`.
    pub(super) fn new(
        leases: impl IntoIterator<Item = Lease>,
        claims: &[Claim],
        sent: Instant,
    ) -> Self {
        let lengths = claims.iter().map(|claim| claim.request.lease);
        let members = leases.into_iter().zip(lengths);
        let members = members.map(|(lease, length)| Member { lease, length }).collect();
        let max_hold = claims.iter().map(|claim| claim.max_hold).min().unwrap_or_default();
        Self::trusting(members, sent, sent + max_hold, 0)
    }

    /// The same lease for the next holder, who wants it for `claim`; `None` if that is not the
    /// same to the store, and to whoever would follow if this process died.
    ///
    /// A renewal by the holder before that arrives late is one of full length, so it takes nothing
    /// away.
    pub(super) fn handed_to(&self, claim: &Claim) -> Option<Self> {
        let now = Instant::now();
        let [Member { lease, length }] = &self.members[..] else { return None };
        let length = *length;
        let as_fresh = lease.attempt == 1
            && length == claim.request.lease
            && self.hold_until.saturating_duration_since(now) >= length
            && self.remaining() >= length / 2;
        // As if granted when the store last heard of it.
        let sent = self.trusted_until().checked_sub(length)? + margin(length);
        let members = smallvec![Member { lease: lease.clone(), length }];
        as_fresh.then(|| Self::trusting(members, sent, now + claim.max_hold, self.turn + 1))
    }

    fn trusting(members: Members, sent: Instant, hold_until: Instant, turn: u64) -> Self {
        let mut group = Self {
            lease: members.iter().map(|member| member.length).min().unwrap_or_default(),
            members,
            hold_until,
            turn,
            taken: sent,
            trusted: AtomicU64::new(0),
            started: AtomicBool::new(false),
            handed_out: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            lost: Notify::new(),
        };
        *group.trusted.get_mut() = group.trust_from(sent);
        group
    }

    /// The token of `lease` for the resource that checks it: each holder has its own, also those
    /// who share a lease of the store, which leaves room for them.
    pub(crate) fn fencing_token(&self, lease: &Lease) -> u64 {
        lease.token.value() + self.turn
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.members.iter().map(|member| &member.lease)
    }

    /// The lease, if it is but one.
    pub(super) fn only(&self) -> Option<&Lease> {
        let [Member { lease, .. }] = &self.members[..] else { return None };
        Some(lease)
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

    /// The lease from `sent` less a margin for clocks that do not run alike: 1 % and 2 ms, as Redlock has it.
    fn trust_from(&self, sent: Instant) -> u64 {
        let until = (sent + self.lease).min(self.hold_until);
        let trusted = until.duration_since(self.taken).saturating_sub(margin(self.lease));
        u64::try_from(trusted.as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

fn margin(lease: Duration) -> Duration {
    lease / 100 + Duration::from_millis(2)
}
