//! Operations on keys of several slots, of which no script can touch more than one.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::super::acquire;
use super::super::error::Failure;
use super::super::layout::decode;
use super::super::node::Bounds;
use super::super::script::{By, Script};
use super::super::update;
use super::Cluster;
use super::slots::{self, Slot};
use crate::store::record::{Record, Standing};
use crate::store::{
    Acquired, Lease, LeaseRequest, Occupant, StoreError, StoreErrorKind, Update, Updated,
};

impl Cluster {
    /// Takes every key, or none.
    ///
    /// Keys of several slots are looked at first, all at once: where one is occupied, none is
    /// touched. Then they are taken slot by slot, in the order of the slots, and given back if one
    /// has been occupied meanwhile. Nobody waits for anybody, so there is no deadlock; and whoever
    /// fails has met somebody who has come further in that order, so of several that want the same
    /// keys one gets them.
    pub(in super::super) async fn acquire(
        self: &Arc<Self>,
        bounds: Bounds,
        requests: &[LeaseRequest],
        offset: i64,
    ) -> Result<Acquired, StoreError> {
        let groups = slots::by_slot(requests.iter().map(|request| &request.key));
        if let (1, Some(slot)) = (groups.len(), groups.keys().next()) {
            return self.take(&bounds, *slot, requests, offset).await;
        }
        let group = |(slot, places): (Slot, Vec<usize>)| {
            let requests = places.iter().map(|place| requests[*place].clone()).collect();
            Arc::new(Group { slot, places, requests })
        };
        let groups = groups.into_iter().map(group).collect();
        let spread = Spread { cluster: Arc::clone(self), bounds: bounds.clone(), groups, offset };
        // Dropped half-way, it would leave some of the keys taken.
        let (mut answer, answered) = oneshot::channel();
        bounds.runtime.spawn(async move {
            let acquired = spread.acquire(&mut answer).await;
            let _ = answer.send(acquired);
        });
        answered.await.unwrap_or_else(|_| {
            let message = "the runtime ended while the store was asked";
            Err(StoreError::new(StoreErrorKind::Unavailable, message))
        })
    }

    /// Applies each update for itself; those of one slot in one step and in their order, those of
    /// several slots at once. But where keys are only given back, that comes last, when all else is
    /// done: a lock is not free before the outcome that was found under it is stored.
    pub(in super::super) async fn update(
        self: &Arc<Self>,
        bounds: Bounds,
        updates: &[(Lease, Update)],
        offset: i64,
    ) -> Result<Vec<Updated>, StoreError> {
        let groups = slots::by_slot(updates.iter().map(|(lease, _)| &lease.key));
        if let (1, Some(slot)) = (groups.len(), groups.keys().next()) {
            return self.apply(&bounds, *slot, updates, offset).await;
        }
        let gives_back =
            |place: &usize| matches!(updates[*place].1, Update::Release | Update::Interrupt);
        let (last, first): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(_, places)| places.iter().all(gives_back));
        let mut answers = vec![None; updates.len()];
        for groups in [first, last] {
            let mut applying = JoinSet::new();
            for (slot, places) in groups {
                let group: Vec<_> = places.iter().map(|place| updates[*place].clone()).collect();
                let (cluster, bounds) = (Arc::clone(self), bounds.clone());
                applying.spawn(async move {
                    (cluster.apply(&bounds, slot, &group, offset).await, places)
                });
            }
            if let Err(error) = collect(applying, &mut answers).await {
                return Err(error.with_answers(answers));
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Takes every key of one slot, or none.
    async fn take(
        self: &Arc<Self>,
        bounds: &Bounds,
        slot: Slot,
        requests: &[LeaseRequest],
        offset: i64,
    ) -> Result<Acquired, StoreError> {
        let counter = slots::counter(slot);
        let command = |by: By<'_>| acquire::command(by, &counter, requests, offset);
        let answer = self.run(bounds, slot, Script::Acquire, command).await?;
        acquire::answer(requests, answer).map_err(|failure| failure.at(&self.shown))
    }

    /// Applies updates of one slot.
    async fn apply(
        self: &Arc<Self>,
        bounds: &Bounds,
        slot: Slot,
        updates: &[(Lease, Update)],
        offset: i64,
    ) -> Result<Vec<Updated>, StoreError> {
        let command = |by: By<'_>| update::command(by, updates, offset);
        let answer = self.run(bounds, slot, Script::Update, command).await?;
        update::answer(updates, answer).map_err(|failure| failure.at(&self.shown))
    }

    /// What the requests of one slot find.
    async fn look(
        self: Arc<Self>,
        bounds: Bounds,
        group: Arc<Group>,
        offset: i64,
    ) -> Result<Seen, StoreError> {
        let command = |by: By<'_>| {
            let mut command = Script::call(by, group.requests.len(), 0, 0);
            group.requests.iter().for_each(|request| {
                command.arg(request.key.as_str());
            });
            Script::end(&mut command, offset);
            command
        };
        let answer = self.run(&bounds, group.slot, Script::Look, command).await?;
        group.seen(answer).map_err(|failure| failure.at(&self.shown))
    }
}

/// What was answered to the updates of one slot, and their places among all.
type Applied = (Result<Vec<Updated>, StoreError>, Vec<usize>);

/// Notes every answer that comes; the error is that of one that does not.
async fn collect(
    mut applying: JoinSet<Applied>,
    answers: &mut [Option<Updated>],
) -> Result<(), StoreError> {
    let mut refusal = None;
    while let Some(applied) = applying.join_next().await {
        match applied {
            Ok((Ok(applied), places)) => {
                for (place, applied) in places.into_iter().zip(applied) {
                    answers[place] = Some(applied);
                }
            }
            // The others must not be lost with it.
            Ok((Err(error), places)) if error.kind() == StoreErrorKind::Corrupt => {
                tracing::error!(%error, "a record was overwritten by something else");
                places.into_iter().for_each(|place| answers[place] = Some(Updated::Lost));
            }
            Ok((Err(error), _)) => refusal = Some(error),
            Err(_) => {
                let message = "an update of the store was stopped";
                refusal = Some(StoreError::new(StoreErrorKind::Unavailable, message));
            }
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// The requests of one slot, and their places among all.
struct Group {
    slot: Slot,
    places: Vec<usize>,
    requests: Vec<LeaseRequest>,
}

impl Group {
    fn seen(&self, answer: Value) -> Result<Seen, Failure> {
        let odd = || Failure::odd("look");
        let Value::Array(answer) = answer else { return Err(odd()) };
        let Some((Value::Int(now), records)) = answer.split_first() else { return Err(odd()) };
        if records.len() != self.requests.len() {
            return Err(odd());
        }
        let mut seen = Seen::default();
        for ((place, request), record) in self.places.iter().zip(&self.requests).zip(records) {
            let record = match record {
                Value::Nil => continue,
                Value::BulkString(record) => decode(record),
                _ => return Err(odd()),
            };
            let key = request.key.as_str();
            let record = record.map_err(|what| Failure::Corrupt(format!("`{key}`: {what}")))?;
            match Record::standing(Some(&record), request, *now) {
                Standing::Free { .. } => {}
                Standing::Own(record) => {
                    seen.own.insert(*place, record.lease(&request.key));
                }
                Standing::Occupied(occupant) => seen.meets(*place, occupant),
            }
        }
        Ok(seen)
    }
}

/// Leases, by the places of their requests among all.
type Leases = BTreeMap<usize, Lease>;

/// What a look has found.
#[derive(Default)]
struct Seen {
    /// The first in the order of the requests that is occupied, and its place among all.
    occupied: Option<(usize, Occupant)>,
    /// What the same attempt has taken before, with an answer that was lost.
    own: Leases,
}

impl Seen {
    fn meets(&mut self, place: usize, occupant: Occupant) {
        if self.occupied.as_ref().is_none_or(|(before, _)| place < *before) {
            self.occupied = Some((place, occupant));
        }
    }

    fn and(&mut self, other: Self) {
        self.own.extend(other.own);
        if let Some((place, occupant)) = other.occupied {
            self.meets(place, occupant);
        }
    }
}

/// An acquire of keys of several slots.
struct Spread {
    cluster: Arc<Cluster>,
    bounds: Bounds,
    /// In the order of their slots, which is the same for everybody.
    groups: Vec<Arc<Group>>,
    offset: i64,
}

impl Spread {
    async fn acquire(
        self,
        caller: &mut oneshot::Sender<Result<Acquired, StoreError>>,
    ) -> Result<Acquired, StoreError> {
        // What is our own already goes with the rest: whoever is refused leaves no trace.
        let Seen { occupied, own: mut taken } = self.look().await?;
        if let Some((_, occupant)) = occupied {
            self.give_back(taken).await?;
            return Ok(Acquired::Occupied(occupant));
        }
        if caller.is_closed() {
            self.give_back(taken).await?;
            return Err(StoreError::new(StoreErrorKind::Unavailable, "nobody asks any more"));
        }
        // The rest of the time is for giving back.
        let early =
            Bounds { until: self.bounds.until - super::super::LIMIT / 4, ..self.bounds.clone() };
        for group in &self.groups {
            let asked = self.cluster.take(&early, group.slot, &group.requests, self.offset);
            match asked.await {
                Ok(Acquired::Leases(leases)) => {
                    taken.extend(group.places.iter().copied().zip(leases));
                }
                refusal => {
                    self.give_back(taken).await?;
                    return refusal;
                }
            }
        }
        Ok(Acquired::Leases(taken.into_values().collect()))
    }

    async fn look(&self) -> Result<Seen, StoreError> {
        let mut looks = JoinSet::new();
        for group in &self.groups {
            let (cluster, bounds) = (Arc::clone(&self.cluster), self.bounds.clone());
            looks.spawn(cluster.look(bounds, Arc::clone(group), self.offset));
        }
        let mut all = Seen::default();
        while let Some(seen) = looks.join_next().await {
            if let Ok(seen) = seen {
                all.and(seen?);
            }
        }
        Ok(all)
    }

    /// Gives back what was taken for nothing. What was taken over from a call that stopped half-way
    /// stays half-way: released, the next would take itself for the first.
    async fn give_back(&self, taken: Leases) -> Result<(), StoreError> {
        if taken.is_empty() {
            return Ok(());
        }
        let update = |lease: Lease| {
            let what = if lease.attempt > 1 { Update::Interrupt } else { Update::Release };
            (lease, what)
        };
        let updates: Vec<_> = taken.into_values().map(update).collect();
        self.cluster.update(self.bounds.clone(), &updates, self.offset).await?;
        Ok(())
    }
}
