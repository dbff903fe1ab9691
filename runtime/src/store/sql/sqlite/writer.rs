//! The one connection that writes: whoever gets it does the work of all who wait for it.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use parking_lot::Mutex;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{MutexGuard, oneshot};

use super::connection::{File, Role, Slot};
use super::error::Failure;
use super::{acquire, purge, update};
use crate::store::clock::Clock;
use crate::store::{Acquired, Lease, LeaseRequest, StoreError, StoreErrorKind, Update, Updated};

/// How much work goes into one transaction. Bringing it to the disk takes far longer than doing
/// it, and takes as long for one piece as for many.
const BATCH: usize = 64;

/// The connection, and the work that waits for it.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    clock: Clock,
    slot: Slot,
    waiting: Mutex<VecDeque<Job>>,
}

/// An operation that writes.
#[derive(Debug)]
pub(super) enum Work {
    Acquire(Vec<LeaseRequest>),
    Update(Vec<(Lease, Update)>),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Done {
    Acquired(Acquired),
    Updated(Vec<Updated>),
}

#[derive(Debug)]
struct Job {
    work: Work,
    reply: oneshot::Sender<Result<Done, StoreError>>,
}

impl Writer {
    pub(super) fn new(file: File, clock: Clock, connection: SqliteConnection) -> Self {
        Self { file, clock, slot: Slot::new(Some(connection)), waiting: Mutex::default() }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Does `work`, alone or together with others' work.
    ///
    /// Not to be dropped half-way by a caller: the work of others may be in its hands. If that
    /// happens all the same, as when a runtime stops, they learn that nobody can tell.
    pub(super) async fn run(&self, work: Work) -> Result<Done, StoreError> {
        let (reply, mut answer) = oneshot::channel();
        self.waiting.lock().push_back(Job { work, reply });
        loop {
            let mut slot = match self.answered_or_first(&mut answer).await {
                Turn::Answered(answer) => return answer,
                Turn::First(slot) => slot,
            };
            let jobs = {
                let mut waiting = self.waiting.lock();
                let count = waiting.len().min(BATCH);
                waiting.drain(..count).collect()
            };
            self.run_all(&mut slot, jobs).await;
        }
    }

    /// Waits until somebody has done the work, or it is on this task to do what waits.
    async fn answered_or_first(
        &self,
        answer: &mut oneshot::Receiver<Result<Done, StoreError>>,
    ) -> Turn<'_> {
        let mut first = pin!(self.slot.lock());
        let mut answer = pin!(answer);
        poll_fn(|context| {
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                let stopped = |_| Err(StoreError::new(StoreErrorKind::Unavailable, STOPPED));
                return Poll::Ready(Turn::Answered(answer.unwrap_or_else(stopped)));
            }
            first.as_mut().poll(context).map(Turn::First)
        })
        .await
    }

    async fn run_all(&self, slot: &mut Guard<'_>, jobs: Vec<Job>) {
        let (works, replies): (Vec<_>, Vec<_>) =
            jobs.into_iter().map(|job| (job.work, job.reply)).unzip();
        match self.together(slot, &works).await {
            Ok(done) => {
                for (reply, done) in replies.into_iter().zip(done) {
                    // Whoever asked may be gone.
                    let _ = reply.send(Ok(done));
                }
            }
            // One of them met a record that it cannot understand. That is not the others' fault.
            Err(error) if error.kind() == StoreErrorKind::Corrupt && works.len() > 1 => {
                for (reply, work) in replies.into_iter().zip(works) {
                    let done = self.together(slot, std::slice::from_ref(&work)).await;
                    let _ = reply.send(done.and_then(only));
                }
            }
            Err(error) => {
                let (kind, message) = (error.kind(), error.to_string());
                let copies = replies.len() - 1;
                let copy = move || StoreError::new(kind, message.clone());
                let errors =
                    std::iter::once(error).chain(std::iter::repeat_with(copy).take(copies));
                for (reply, error) in replies.into_iter().zip(errors) {
                    let _ = reply.send(Err(error));
                }
            }
        }
    }

    /// All of it in one transaction, or nothing.
    async fn together(
        &self,
        slot: &mut Guard<'_>,
        works: &[Work],
    ) -> Result<Vec<Done>, StoreError> {
        let done = match self.file.open(slot, Role::Writes).await {
            Ok(connection) => transact(connection, works, &self.clock).await,
            Err(failure) => Err(failure),
        };
        self.file.settle(slot, done)
    }

    /// Deletes what nobody needs any more, and lets others write between the batches.
    pub(super) async fn purge(&self) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let mut slot = self.slot.lock().await;
            let deleted = match self.file.open(&mut slot, Role::Writes).await {
                Ok(connection) => purge::batch(connection, self.clock.now()).await,
                Err(failure) => Err(failure),
            };
            let deleted = self.file.settle(&mut slot, deleted)?;
            total += deleted;
            if deleted < purge::BATCH {
                return Ok(total);
            }
        }
    }
}

type Guard<'a> = MutexGuard<'a, Option<SqliteConnection>>;

const STOPPED: &str = "the runtime that was writing stopped before the answer";

enum Turn<'a> {
    Answered(Result<Done, StoreError>),
    First(Guard<'a>),
}

async fn transact(
    connection: &mut SqliteConnection,
    works: &[Work],
    clock: &Clock,
) -> Result<Vec<Done>, Failure> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    // Read after the lock is held: however long that took, the leases start now.
    let now = clock.now();
    let mut done = Vec::with_capacity(works.len());
    for work in works {
        done.push(match work {
            Work::Acquire(requests) => {
                Done::Acquired(acquire::take(&mut transaction, requests, now).await?)
            }
            Work::Update(updates) => {
                Done::Updated(update::apply(&mut transaction, updates, now).await?)
            }
        });
    }
    transaction.commit().await?;
    Ok(done)
}

/// The answer to a single piece of work.
fn only(mut done: Vec<Done>) -> Result<Done, StoreError> {
    done.pop().ok_or_else(|| StoreError::new(StoreErrorKind::Unavailable, STOPPED))
}
