//! The operations of a store in a database server, from statements and lanes.

use std::collections::HashSet;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::dialect::{Claimed, Dialect, Patience, Weight};
use super::failure::{Failure, Meaning};
use super::forecast::Forecast;
use super::jobs::{Change, Take};
use super::lane::Lane;
use super::rules;
use super::schedule::Schedule;
use super::seats::{Seats, on_a_seat};
use crate::store::timers::Timers;
use crate::store::{
    Acquired, Lease, LeaseRequest, Occupant, RecordState, StoreError, Token, Update, Updated,
    runtime,
};

/// How long an operation may take in all: less than half of a coordinator's limit, so that an
/// acquire can be sent twice, and more than twice what a statement waits for a row.
const LIMIT: Duration = Duration::from_millis(2_400);
/// How often an operation that others got in the way of is tried again.
const TRIES: u32 = 8;
/// How soon to look again for a key that a transaction keeps locked.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A store, shared by the tasks that do its work.
pub(super) struct Engine<D: Dialect> {
    pub(super) dialect: D,
    pub(super) seats: Seats<D::Database>,
    /// What the store is called in errors.
    place: String,
    looks: Arc<Lane<Take>>,
    claims: [Arc<Lane<Take>>; 2],
    updates: [Arc<Lane<Change>>; 2],
    schedule: Mutex<Schedule>,
    forecast: Forecast,
    timers: Timers,
}

impl<D: Dialect> Engine<D> {
    pub(super) fn new(dialect: D, seats: Seats<D::Database>, place: String) -> Arc<Self> {
        Arc::new(Self {
            dialect,
            seats,
            place,
            looks: Arc::default(),
            claims: Default::default(),
            updates: Default::default(),
            schedule: Mutex::new(Schedule::new()),
            forecast: Forecast::default(),
            timers: Timers::default(),
        })
    }

    /// Makes the tables and checks them; gives the identity of the database.
    pub(super) async fn prepare(&self) -> Result<i64, StoreError> {
        let runtime = runtime::current()?;
        let prepared = async { on_a_seat!(self.seats, seat => self.dialect.prepare(&mut seat)) };
        self.bounded(&runtime, prepared).await
    }

    /// Takes every key, or none.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        requests: &[LeaseRequest],
    ) -> Result<Acquired, StoreError> {
        if requests.is_empty() {
            return Ok(Acquired::Leases(Vec::new()));
        }
        let runtime = runtime::current()?;
        let weight = Weight::of_requests(requests);
        let lane = &self.claims[weight as usize];
        self.bounded(&runtime, async {
            // To look is cheaper than to claim, and disturbs nobody: worth its while as long as calls
            // find something. Who comes alone for a lock sends one statement.
            let may_look = D::LOOKS_FIRST || weight == Weight::Heavy || !lane.is_idle(&runtime);
            if may_look && self.forecast.finds() {
                let met = self.ask(&runtime, &self.looks, requests, Self::look).await?;
                self.forecast.found(met.is_some());
                if let Some(met) = met {
                    return Ok(met);
                }
            }
            let claimed = self.ask(&runtime, lane, requests, Self::claim).await?;
            let claimed = claimed.ok_or(Failure::TooLate)?;
            if matches!(claimed, Acquired::Occupied(_)) {
                self.forecast.found(true);
            }
            Ok(claimed)
        })
        .await
    }

    /// Applies the updates, those of one key in their order.
    pub(super) async fn update(
        self: &Arc<Self>,
        updates: &[(Lease, Update)],
    ) -> Result<Vec<Updated>, StoreError> {
        let runtime = runtime::current()?;
        self.bounded(&runtime, async {
            let mut answers = vec![None; updates.len()];
            for _ in 0..TRIES + updates.len() as u32 {
                let round = first_of_each_key(updates, &answers);
                if round.is_empty() {
                    break;
                }
                let sent: Vec<_> = round.iter().map(|&at| updates[at].clone()).collect();
                let lane = &self.updates[Weight::of_updates(&sent) as usize];
                let (reply, answer) = oneshot::channel();
                let job = Change { updates: sent, reply };
                lane.send(&runtime, job, Arc::clone(self), Self::apply).await;
                for (at, updated) in round.into_iter().zip(heard(answer.await)?) {
                    answers[at] = updated;
                }
            }
            answers.into_iter().collect::<Option<_>>().ok_or(Failure::Raced)
        })
        .await
    }

    async fn bounded<T>(
        &self,
        runtime: &Handle,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, StoreError> {
        let until = Instant::now() + LIMIT;
        let answer = self.timers.within(runtime.id(), until, pin!(work)).await;
        let answer = answer.unwrap_or(Err(Failure::TooLate));
        answer.map_err(|failure| failure.at(&self.place))
    }

    async fn ask<F>(
        self: &Arc<Self>,
        runtime: &Handle,
        lane: &Arc<Lane<Take>>,
        requests: &[LeaseRequest],
        run: fn(Arc<Self>, Vec<Take>) -> F,
    ) -> Result<Option<Acquired>, Failure>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Take { requests: requests.to_vec(), reply };
        lane.send(runtime, job, Arc::clone(self), run).await;
        heard(answer.await)
    }

    async fn look(self: Arc<Self>, jobs: Vec<Take>) {
        let calls: Vec<_> = jobs.iter().map(|job| &*job.requests).collect();
        match on_a_seat!(self.seats, seat => self.dialect.look(&mut seat, &calls)) {
            Ok(met) => jobs.into_iter().zip(met).for_each(|(job, met)| {
                let _ = job.reply.send(Ok(met.map(Acquired::Occupied)));
            }),
            Err(failure) if jobs.len() > 1 && failure.is_of_one_job() => {
                // The claim of each will tell.
                jobs.into_iter().for_each(|job| drop(job.reply.send(Ok(None))));
            }
            Err(failure) => {
                let answers = failure.for_each(jobs.len());
                jobs.into_iter().zip(answers).for_each(|(job, failure)| {
                    let _ = job.reply.send(Err(failure));
                });
            }
        }
    }

    async fn claim(self: Arc<Self>, jobs: Vec<Take>) {
        self.count(jobs.len());
        let calls: Vec<_> = jobs.iter().map(|job| &*job.requests).collect();
        let weight = Weight::of_requests(calls.iter().copied().flatten());
        match on_a_seat!(self.seats, seat => self.dialect.claim(&mut seat, &calls, weight)) {
            Ok(claimed) => {
                for (job, claimed) in jobs.into_iter().zip(claimed) {
                    match claimed {
                        Claimed::Answered(answer) => drop(job.reply.send(Ok(Some(answer)))),
                        Claimed::Unclear => self.on_its_own(job),
                    }
                }
            }
            Err(failure) if failure.is_of_one_job() => {
                jobs.into_iter().for_each(|job| self.on_its_own(job));
            }
            Err(failure) => {
                let answers = failure.for_each(jobs.len());
                jobs.into_iter().zip(answers).for_each(|(job, failure)| {
                    let _ = job.reply.send(Err(failure));
                });
            }
        }
        self.purge_if_due();
    }

    /// Takes the keys of one job, beside the lane: nobody waits behind it.
    fn on_its_own(self: &Arc<Self>, job: Take) {
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            let weight = Weight::of_requests(&job.requests);
            let (dialect, requests) = (&engine.dialect, &job.requests);
            let mut answer = Err(Failure::Raced);
            for _ in 0..TRIES {
                answer = on_a_seat!(
                    engine.seats, seat => dialect.take_over(&mut seat, requests, weight)
                );
                if !matches!(&answer, Err(failure) if failure.meaning() == Meaning::Raced) {
                    break;
                }
            }
            // A transaction of somebody keeps the record locked, and it cannot be read: it is held.
            if matches!(&answer, Err(failure) if failure.meaning() == Meaning::Blocked)
                && let Some(first) = job.requests.first()
            {
                let state = RecordState::InProgress { remaining: LOOK_AGAIN };
                let occupant = Occupant::new(first.key.clone(), Token::new(0), None, state);
                answer = Ok(Acquired::Occupied(occupant));
            }
            let _ = job.reply.send(answer.map(Some));
        });
    }

    async fn apply(self: Arc<Self>, jobs: Vec<Change>) {
        self.count(jobs.len());
        match self.apply_together(&jobs, Patience::Short).await {
            Ok(mut answers) => {
                for job in jobs {
                    let rest = answers.split_off(job.updates.len().min(answers.len()));
                    let _ = job.reply.send(Ok(std::mem::replace(&mut answers, rest)));
                }
            }
            Err(failure) if failure.is_of_one_job() => {
                for job in jobs {
                    let engine = Arc::clone(&self);
                    tokio::spawn(async move {
                        let job_alone = std::slice::from_ref(&job);
                        let answer = engine.apply_together(job_alone, Patience::Long).await;
                        let _ = job.reply.send(match answer {
                            Err(failure) if failure.meaning() == Meaning::Raced => {
                                Ok(vec![None; job.updates.len()])
                            }
                            answer => answer,
                        });
                    });
                }
            }
            Err(failure) => {
                let answers = failure.for_each(jobs.len());
                jobs.into_iter().zip(answers).for_each(|(job, failure)| {
                    let _ = job.reply.send(Err(failure));
                });
            }
        }
        self.purge_if_due();
    }

    async fn apply_together(
        &self,
        jobs: &[Change],
        patience: Patience,
    ) -> Result<Vec<Option<Updated>>, Failure> {
        let updates: Vec<_> = jobs.iter().flat_map(|job| &job.updates).collect();
        let weight = Weight::of_updates(updates.iter().copied());
        on_a_seat!(self.seats, seat, again => async {
            let mut answers = self.dialect.apply(&mut seat, &updates, weight, patience).await?;
            if again {
                for (answer, (_, update)) in answers.iter_mut().zip(&updates) {
                    *answer = answer.map(|answer| rules::sent_again(update, answer));
                }
            }
            Ok(answers)
        })
    }

    fn count(&self, writes: usize) {
        self.schedule.lock().count(writes);
    }

    /// Deletes old records beside the writes, one batch after the other.
    fn purge_if_due(self: &Arc<Self>) {
        let mut schedule = self.schedule.lock();
        if !schedule.due() {
            return;
        }
        // Nobody else starts one before this one is done.
        schedule.done();
        drop(schedule);
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = engine.purge().await {
                tracing::debug!(%error, "old records were not deleted; the next purge tries again");
            }
        });
    }

    /// Deletes every record that is due and says how many those were.
    pub(super) async fn purge(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let purged = on_a_seat!(self.seats, seat => self.dialect.purge(&mut seat));
            let purged = purged.map_err(|failure| failure.at(&self.place))?;
            total += purged;
            if purged < D::PURGED_AT_ONCE {
                return Ok(total);
            }
        }
    }
}

impl<D: Dialect> fmt::Debug for Engine<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The answer, unless the runtime that was to find it has ended.
fn heard<T>(answer: Result<Result<T, Failure>, oneshot::error::RecvError>) -> Result<T, Failure> {
    answer.unwrap_or(Err(Failure::TooLate))
}

/// Where in `updates` the first one of each key stands that has no answer yet.
fn first_of_each_key(updates: &[(Lease, Update)], answers: &[Option<Updated>]) -> Vec<usize> {
    let mut keys = HashSet::new();
    let open = (0..updates.len()).filter(|&at| answers[at].is_none());
    open.filter(|&at| keys.insert(&updates[at].0.key)).collect()
}
