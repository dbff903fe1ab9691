//! The line for each key in this process: one caller has the lead, the others wait behind it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::claims::{Claim, Claims};
use super::group::Group;
use super::hand_over::Offer;
use super::shard::Shard;
use super::take::Leases;
use crate::model::{Fingerprint, Key, KeyMap, Occupant};

/// How many locks share the keys between them; a power of two well above the cores of today.
const SHARDS: usize = 64;
/// How long those behind leave a lead that neither holds the key nor says when it will look again.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a process may have a key to itself where the store keeps no order among processes, and
/// for how long it then leaves it to others: a little longer than the longest pause of theirs.
const MONOPOLY: Duration = Duration::from_secs(3);
const COURTESY: Duration = Duration::from_millis(130);

/// The lines of one coordinator, one for each key that somebody asks for, waits for or holds.
///
/// A line saves questions; it guards nothing, because the store alone decides who holds a key. So
/// whoever waits here passes over a lead that lost its lease, or that does not come to an end.
#[derive(Debug)]
pub(crate) struct Lines {
    shards: Box<[Shard<Line>]>,
    /// Numbers leads and places; none is used twice, also not for another line of the same key.
    numbers: AtomicU64,
}

#[derive(Debug)]
struct Line {
    /// The number of the lead that counts; one that was passed over has another.
    lead: u64,
    /// What the lead asks for: another call under the same key is not to wait for its answer.
    fingerprint: Option<Fingerprint>,
    /// The leases of the lead, once it holds the key.
    holder: Option<Arc<Group>>,
    /// Until when a lead that holds nothing is left alone.
    due: Instant,
    /// Since when this process has had the key whenever it asked.
    monopoly_since: Option<Instant>,
    /// How many more may have the key before it is given back, so that other processes have it too.
    turns: u64,
    /// Wakes a lead that waits for somebody else; none if the key was free when last asked for.
    freed: Option<Arc<Notify>>,
    /// Those behind, in their order.
    waiters: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    fingerprint: Option<Fingerprint>,
    /// What it would hold, if a lease of this one key is all it wants.
    lock: Option<Claims>,
    tell: oneshot::Sender<Told>,
}

/// What becomes of somebody who waits behind.
#[derive(Debug)]
pub(super) enum Told {
    /// It is its turn to ask the store.
    Lead(Lead),
    /// The key is handed over.
    Lease(Offer),
    /// The call for which the whole line waits has completed.
    Answer(Occupant),
    /// The lead is stuck: ask for yourself. Whether the store has said that the key is taken.
    Alone { is_taken: bool },
}

/// Where a caller finds itself who comes to a line.
#[derive(Debug)]
pub(super) enum Entrance {
    Lead(Lead),
    Behind(Place),
    /// It would wait for something else than those in the line.
    Alone,
}

impl Default for Lines {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { shards, numbers: AtomicU64::new(0) }
    }
}

impl Lines {
    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn shard(&self, key: &Key) -> &Shard<Line> {
        &self.shards[key.shard(SHARDS)]
    }

    /// Whether anybody asks for `key`, waits for it or holds it here.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.shard(key).lock_if_any().is_some_and(|lines| lines.contains_key(key))
    }

    /// Whether `key` is held here, or was another's when the store last answered.
    pub(super) fn is_taken(&self, key: &Key) -> bool {
        let lines = self.shard(key).lock_if_any();
        lines.is_some_and(|lines| lines.get(key).is_some_and(Line::is_taken))
    }

    /// Has the lead if there is no line for the key of `claim`, or stands in it if the line is for
    /// the same thing and `may_wait`.
    pub(super) fn enter(
        self: &Arc<Self>,
        claims: &Claims,
        claim: &Claim,
        may_wait: bool,
    ) -> Entrance {
        let mut lines = self.shard(&claim.request.key).lock();
        match lines.get_mut(&claim.request.key) {
            None => {}
            Some(line) if !may_wait || line.fingerprint != claim.request.fingerprint => {
                return Entrance::Alone;
            }
            Some(line) if !line.is_stuck() => {
                return Entrance::Behind(self.behind(line, claims, claim));
            }
            Some(_) => {}
        }
        Entrance::Lead(self.lead(&mut lines, claim))
    }

    /// Stands in the line for the key of `claim`, which somebody else holds, or has its lead.
    pub(super) fn join(self: &Arc<Self>, claims: &Claims, claim: &Claim) -> Entrance {
        let mut lines = self.shard(&claim.request.key).lock();
        match lines.get_mut(&claim.request.key) {
            Some(line) if !line.is_stuck() => Entrance::Behind(self.behind(line, claims, claim)),
            _ => Entrance::Lead(self.lead(&mut lines, claim)),
        }
    }

    /// The lead of a new line, or of one whose lead is stuck.
    fn lead(self: &Arc<Self>, lines: &mut KeyMap<Line>, claim: &Claim) -> Lead {
        let now = Instant::now();
        let key = claim.request.key.clone();
        let number = self.number();
        let line = lines.entry(key.clone()).or_insert_with(|| Line::new(now));
        line.pass_to(number, claim.request.fingerprint, now);
        Lead { lines: Arc::clone(self), key, number }
    }

    fn behind(self: &Arc<Self>, line: &mut Line, claims: &Claims, claim: &Claim) -> Place {
        let (tell, told) = oneshot::channel();
        let number = self.number();
        let is_lock = claims.only().is_some_and(|claim| claim.request.is_plain());
        let lock = is_lock.then(|| claims.clone());
        let waiter = Waiter { fingerprint: claim.request.fingerprint, lock, tell };
        line.waiters.insert(number, waiter);
        Place { lines: Arc::clone(self), key: claim.request.key.clone(), number, told }
    }

    /// `key` may be free, although its line's lead does not hold it.
    pub(super) fn freed(&self, key: &Key) {
        if let Some(lines) = self.shard(key).lock_if_any()
            && let Some(line) = lines.get(key)
        {
            line.wake_lead();
        }
    }

    /// The leases of `group` are lost: whoever waits for its keys need not wait for its end.
    pub(super) fn lost(self: &Arc<Self>, group: &Group) {
        group.leases().for_each(|lease| self.pass_over(&lease.key));
    }

    /// The call of `key`, for which a whole line waits, has completed: everybody gets the answer.
    ///
    /// Whoever comes later asks the store: the answer is final, but its retention ends.
    pub(super) fn answer(&self, key: &Key, outcome: impl FnOnce() -> Occupant) {
        let Some(mut lines) = self.shard(key).lock_if_any() else { return };
        let Some(line) = lines.get_mut(key) else { return };
        let waiters = std::mem::take(&mut line.waiters);
        line.wake_lead();
        drop(lines);
        if waiters.is_empty() {
            return;
        }
        let outcome = outcome();
        for waiter in waiters.into_values() {
            let _ = waiter.tell.send(Told::Answer(outcome.clone()));
        }
    }

    /// Lets those behind go on if their lead holds nothing any more and does nothing about it.
    fn pass_over(self: &Arc<Self>, key: &Key) {
        let mut lines = self.shard(key).lock();
        let Some(line) = lines.get_mut(key).filter(|line| line.is_stuck()) else { return };
        if line.holder.is_some() {
            let Some((_, next)) = line.waiters.pop_first() else { return };
            let lead = self.next_lead(line, key, &next);
            drop(lines);
            let _ = next.tell.send(Told::Lead(lead));
        } else {
            // The store is slow, or the lead's future is not polled: one after the other would be
            // slower still.
            let scattered = line.scatter();
            drop(lines);
            scattered();
        }
    }

    fn next_lead(self: &Arc<Self>, line: &mut Line, key: &Key, next: &Waiter) -> Lead {
        let number = self.number();
        line.pass_to(number, next.fingerprint, Instant::now());
        Lead { lines: Arc::clone(self), key: key.clone(), number }
    }
}

impl Line {
    fn new(now: Instant) -> Self {
        Self {
            lead: 0,
            fingerprint: None,
            holder: None,
            due: now,
            monopoly_since: None,
            turns: 0,
            freed: None,
            waiters: BTreeMap::new(),
        }
    }

    /// Another has the lead from now on, and asks.
    fn pass_to(&mut self, lead: u64, fingerprint: Option<Fingerprint>, now: Instant) {
        self.lead = lead;
        self.fingerprint = fingerprint;
        self.holder = None;
        self.turns = 0;
        self.due = now + PATIENCE;
    }

    fn wake_lead(&self) {
        if let Some(freed) = &self.freed {
            freed.notify_one();
        }
    }

    /// Takes everybody out of the line. What is returned tells them, without the lock.
    fn scatter(&mut self) -> impl FnOnce() + use<> {
        let (waiters, is_taken) = (std::mem::take(&mut self.waiters), self.is_taken());
        move || waiters.into_values().for_each(|w| drop(w.tell.send(Told::Alone { is_taken })))
    }

    fn is_taken(&self) -> bool {
        self.holder.as_ref().map_or(self.freed.is_some(), |_| !self.is_stuck())
    }

    fn is_stuck(&self) -> bool {
        Instant::now() >= self.due()
    }

    fn due(&self) -> Instant {
        self.holder.as_ref().map_or(self.due, |group| group.trusted_until())
    }
}

/// The lead of a line: to ask the store, to wait for others, and to hold the key. Dropped, it is
/// the next one's.
#[derive(Debug)]
pub(super) struct Lead {
    lines: Arc<Lines>,
    key: Key,
    number: u64,
}

impl Lead {
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// What `change` makes of the line; nothing, if this lead was passed over.
    fn with<T>(&self, change: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let mut lines = self.lines.shard(&self.key).lock();
        lines.get_mut(&self.key).filter(|line| line.lead == self.number).map(change)
    }

    /// It will look again at `next_look`. Resolves before that when somebody in this process gave
    /// the key back; `None` if the lead was passed over.
    pub(super) fn waits(&self, next_look: Instant) -> Option<Arc<Notify>> {
        self.with(|line| {
            line.due = next_look + PATIENCE;
            line.monopoly_since = None;
            Arc::clone(line.freed.get_or_insert_default())
        })
    }

    /// Sends everybody behind away, to ask for themselves.
    pub(super) fn scatter(&self) {
        if let Some(scattered) = self.with(Line::scatter) {
            scattered();
        }
    }

    /// How long to leave the key to other processes before asking for it again.
    pub(super) fn courtesy(&self) -> Option<Duration> {
        self.with(|line| {
            line.monopoly_since.filter(|since| since.elapsed() >= MONOPOLY)?;
            line.monopoly_since = None;
            line.due = Instant::now() + COURTESY + PATIENCE;
            Some(COURTESY)
        })?
    }

    /// It holds the key, and as many as wait behind it now may have it next, up to `spare`.
    pub(super) fn holds(&self, group: &Arc<Group>, spare: u64) {
        self.with(|line| {
            (line.holder, line.freed) = (Some(Arc::clone(group)), None);
            line.monopoly_since.get_or_insert(group.taken());
            line.turns = (line.waiters.len() as u64).min(spare);
        });
    }

    /// Hands the key over to the next in line, if that one wants a lease of just this length.
    /// Whether somebody has it.
    ///
    /// The next holder needs no question to the store, which keeps the lease that it granted.
    pub(super) fn hand_over(&self, leases: &Arc<Leases>, group: &Group) -> bool {
        let mut lines = self.lines.shard(&self.key).lock();
        let Some(line) = lines.get_mut(&self.key).filter(|line| line.lead == self.number) else {
            return false;
        };
        let next = line.waiters.first_entry().filter(|_| line.turns > 0);
        let Some(next) = next else { return false };
        let Some(group) = next.get().lock.as_ref().and_then(|claims| group.handed_to(claims))
        else {
            return false;
        };
        let (group, next) = (Arc::new(group), next.remove());
        let turns = line.turns - 1;
        let lead = self.lines.next_lead(line, &self.key, &next);
        line.holder = Some(Arc::clone(&group));
        line.turns = turns;
        drop(lines);
        // Not taken, it is handed on or given back by its drop.
        let _ = next.tell.send(Told::Lease(Offer::new(leases, group, lead)));
        true
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut lines = self.lines.shard(&self.key).lock();
        let Some(line) = lines.get_mut(&self.key).filter(|line| line.lead == self.number) else {
            return;
        };
        let Some((_, next)) = line.waiters.pop_first() else {
            lines.remove(&self.key);
            return;
        };
        let lead = self.lines.next_lead(line, &self.key, &next);
        drop(lines);
        // Not taken, it passes to the one after that by its drop.
        let _ = next.tell.send(Told::Lead(lead));
    }
}

/// A place behind the lead, given up when dropped. What arrives in that moment passes on.
#[derive(Debug)]
pub(super) struct Place {
    lines: Arc<Lines>,
    key: Key,
    number: u64,
    /// Resolves when something becomes of the place.
    pub(super) told: oneshot::Receiver<Told>,
}

impl Place {
    /// Until when to leave the lead alone.
    pub(super) fn due(&self) -> Instant {
        self.lines.shard(&self.key).lock().get(&self.key).map_or_else(Instant::now, Line::due)
    }

    /// Makes those behind go on without a lead that is stuck.
    pub(super) fn pass_over(&self) {
        self.lines.pass_over(&self.key);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.lines.shard(&self.key).lock();
        if let Some(line) = lines.get_mut(&self.key) {
            line.waiters.remove(&self.number);
        }
    }
}
