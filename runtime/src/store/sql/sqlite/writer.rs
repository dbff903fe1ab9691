//! The one connection that writes, on a thread of its own, with all the work that waits for it.

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::{Connection as _, SqliteConnection};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::super::rules;
use super::super::schedule::Schedule;
use super::alone::Alone;
use super::connection::{File, Role};
use super::error::Failure;
use super::{acquire, many, one, purge, update};
use crate::store::clock::Clock;
use crate::store::{Acquired, Lease, LeaseRequest, StoreError, StoreErrorKind, Update, Updated};

/// How much work goes into one transaction. Bringing it to the disk takes far longer than doing
/// it, and takes as long for one piece as for many.
const BATCH: usize = 64;

/// The way to the writer. When the last one is dropped, the writer finishes and ends.
///
/// The thread belongs to no runtime, so that what was sent is done to the end, whatever becomes of
/// the future that waits for it or of the runtime that future is in (law *droppable*).
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
    schedule: Arc<Mutex<Schedule>>,
    thread: Handle,
}

/// An operation that writes, and where its answer goes.
#[derive(Debug)]
enum Job {
    Acquire(Vec<LeaseRequest>, Reply<Acquired>),
    Update(Vec<(Lease, Update)>, Reply<Vec<Updated>>),
    /// A purge is due.
    Tidy,
    #[cfg(feature = "testing")]
    Purge(Reply<u64>),
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

impl Writer {
    /// Starts the thread, which makes the file and its tables unless they are there.
    pub(super) async fn start(
        file: Arc<File>,
        clock: Clock,
        alone: Arc<Alone>,
    ) -> Result<Self, StoreError> {
        let failed = |error| {
            StoreError::new(StoreErrorKind::Unavailable, "the writer's thread could not be started")
                .with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        let thread = runtime.handle().clone();
        let (jobs, received) = mpsc::unbounded_channel();
        let (started, prepared) = oneshot::channel();
        let schedule = Arc::new(Mutex::new(Schedule::new()));
        let shared = Arc::clone(&schedule);
        let work = async move {
            match file.prepare().await {
                Err(failure) => drop(started.send(Err(failure.at(file.path())))),
                Ok(connection) => {
                    let connection = Some(connection);
                    let desk = Desk { file, clock, alone, connection, schedule: shared };
                    let _ = started.send(Ok(()));
                    desk.serve(received).await;
                }
            }
        };
        std::thread::Builder::new()
            .name("oncely-sqlite".to_owned())
            .spawn(move || runtime.block_on(work))
            .map_err(failed)?;
        prepared.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(Self { jobs, schedule, thread })
    }

    pub(super) async fn acquire(
        &self,
        requests: Vec<LeaseRequest>,
    ) -> Result<Acquired, StoreError> {
        self.send(|reply| Job::Acquire(requests, reply)).await
    }

    pub(super) async fn update(
        &self,
        updates: Vec<(Lease, Update)>,
    ) -> Result<Vec<Updated>, StoreError> {
        self.send(|reply| Job::Update(updates, reply)).await
    }

    /// Has updates applied that nobody waits for.
    pub(super) fn see_to(&self, updates: Vec<(Lease, Update)>) {
        let (reply, _) = oneshot::channel();
        let _ = self.jobs.send(Job::Update(updates, reply));
    }

    /// Does something else on the writer's thread, beside what it writes.
    pub(super) async fn beside<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.thread.spawn(work).await.unwrap_or_else(|_| Err(ended()))
    }

    /// Somebody else has written.
    pub(super) fn count_one(&self) {
        let mut schedule = self.schedule.lock();
        schedule.count(1);
        if schedule.due() {
            let _ = self.jobs.send(Job::Tidy);
        }
    }

    #[cfg(feature = "testing")]
    pub(super) async fn purge(&self) -> Result<u64, StoreError> {
        self.send(Job::Purge).await
    }

    async fn send<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        // If the thread is gone, so is the reply.
        let _ = self.jobs.send(job(reply));
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn ended() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the writer's thread has ended")
}

/// Where the writer works.
struct Desk {
    file: Arc<File>,
    clock: Clock,
    alone: Arc<Alone>,
    connection: Option<SqliteConnection>,
    schedule: Arc<Mutex<Schedule>>,
}

/// What came of a job.
enum Done {
    Acquired(Acquired),
    Updated(Vec<Updated>),
    #[cfg(feature = "testing")]
    Purged(u64),
}

impl Desk {
    async fn serve(mut self, mut received: mpsc::UnboundedReceiver<Job>) {
        let mut jobs = Vec::new();
        while received.recv_many(&mut jobs, BATCH).await > 0 {
            jobs.retain(|job| !matches!(job, Job::Tidy));
            if !jobs.is_empty() {
                self.alone.pass();
                self.run(std::mem::take(&mut jobs)).await;
            }
            // Whoever comes meanwhile waits for one batch of the purge at most.
            while self.is_due() && self.purge_some().await && received.is_empty() {}
        }
    }

    fn is_due(&self) -> bool {
        self.schedule.lock().due()
    }

    /// Does the jobs in one transaction, and answers them once it is on the disk.
    async fn run(&mut self, jobs: Vec<Job>) {
        self.schedule.lock().count(jobs.len());
        match self.together(&jobs).await {
            Ok(done) => jobs.into_iter().zip(done).for_each(|(job, done)| job.answer(done)),
            // One of them met a record that it cannot understand. That is not the others' fault.
            Err(error) if error.kind() == StoreErrorKind::Corrupt && jobs.len() > 1 => {
                for job in jobs {
                    let alone = self.together(std::slice::from_ref(&job)).await;
                    match alone.map(|mut done| done.pop()) {
                        Ok(Some(done)) => job.answer(done),
                        Ok(None) => {}
                        Err(error) => job.fail(error),
                    }
                }
            }
            Err(error) => {
                let (kind, message) = (error.kind(), error.to_string());
                let copies = std::iter::repeat_with(|| StoreError::new(kind, message.clone()));
                let errors = std::iter::once(error).chain(copies);
                jobs.into_iter().zip(errors).for_each(|(job, error)| job.fail(error));
            }
        }
    }

    async fn together(&mut self, jobs: &[Job]) -> Result<Vec<Done>, StoreError> {
        let done = match self.file.open(&mut self.connection, Role::Writes).await {
            Ok(connection) => transact(connection, jobs, &self.clock).await,
            Err(failure) => Err(failure),
        };
        self.file.settle(&mut self.connection, done)
    }

    /// Deletes a batch of old records; true if there may be more of them.
    async fn purge_some(&mut self) -> bool {
        let deleted = match self.file.open(&mut self.connection, Role::Writes).await {
            Ok(connection) => purge::batch(connection, self.clock.now()).await,
            Err(failure) => Err(failure),
        };
        match self.file.settle(&mut self.connection, deleted) {
            Ok(purge::BATCH..) => true,
            Ok(_) => {
                self.schedule.lock().done();
                false
            }
            Err(error) => {
                tracing::debug!(%error, "old records were not deleted; the next purge tries again");
                self.schedule.lock().done();
                false
            }
        }
    }
}

impl Job {
    /// The one key that somebody wants.
    fn as_request(&self) -> Option<&LeaseRequest> {
        match self {
            Self::Acquire(requests, _) => match &**requests {
                [request] => Some(request),
                _ => None,
            },
            _ => None,
        }
    }

    /// The one update that somebody sends.
    fn as_update(&self) -> Option<&(Lease, Update)> {
        match self {
            Self::Update(updates, _) => match &**updates {
                [update] => Some(update),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whoever asked may be gone.
    fn answer(self, done: Done) {
        match (self, done) {
            (Self::Acquire(_, reply), Done::Acquired(answer)) => drop(reply.send(Ok(answer))),
            (Self::Update(_, reply), Done::Updated(answers)) => drop(reply.send(Ok(answers))),
            #[cfg(feature = "testing")]
            (Self::Purge(reply), Done::Purged(deleted)) => drop(reply.send(Ok(deleted))),
            // Each job is done in its kind. If one were not, its asker would get no answer.
            _ => {}
        }
    }

    fn fail(self, error: StoreError) {
        match self {
            Self::Acquire(_, reply) => drop(reply.send(Err(error))),
            Self::Update(_, reply) => drop(reply.send(Err(error))),
            Self::Tidy => {}
            #[cfg(feature = "testing")]
            Self::Purge(reply) => drop(reply.send(Err(error))),
        }
    }
}

async fn transact(
    connection: &mut SqliteConnection,
    jobs: &[Job],
    clock: &Clock,
) -> Result<Vec<Done>, Failure> {
    if let [job] = jobs
        && let Some(update) = job.as_update()
        && !matches!(update.1, Update::Renew { .. })
        && one::update(connection, update, clock.now()).await?
    {
        return Ok(vec![Done::Updated(vec![Updated::Applied])]);
    }
    if let [job] = jobs
        && let Some(request) = job.as_request()
        && let Some(lease) =
            many::claim(connection, &[request], clock.micros()).await?.pop().flatten()
    {
        return Ok(vec![Done::Acquired(Acquired::Leases(vec![lease]))]);
    }
    let mut transaction = connection.begin_with("begin immediate").await?;
    // Read after the lock is held: however long that took, the leases start now.
    let micros = clock.micros();
    let now = rules::millis(micros);
    let mut easy = easily(&mut transaction, jobs, micros).await?.into_iter();
    let mut done = Vec::with_capacity(jobs.len());
    for job in jobs {
        done.push(match (easy.next().flatten(), job) {
            (Some(easy), _) => easy,
            (None, Job::Acquire(requests, _)) => {
                Done::Acquired(acquire::take(&mut transaction, requests, micros).await?)
            }
            (None, Job::Update(updates, _)) => {
                Done::Updated(update::apply(&mut transaction, updates, now).await?)
            }
            (None, Job::Tidy) => Done::Updated(Vec::new()),
            #[cfg(feature = "testing")]
            (None, Job::Purge(_)) => Done::Purged(purge::all(&mut transaction, now).await?),
        });
    }
    transaction.commit().await?;
    Ok(done)
}

/// What can be done without a look at what is there: all jobs of a batch wait at the same time, so
/// any order of them will do.
async fn easily(
    transaction: &mut SqliteConnection,
    jobs: &[Job],
    micros: i64,
) -> Result<Vec<Option<Done>>, Failure> {
    let requests: Vec<_> = jobs.iter().filter_map(Job::as_request).collect();
    let updates: Vec<_> = jobs.iter().filter_map(Job::as_update).collect();
    let mut leases = many::claim(transaction, &requests, micros).await?.into_iter();
    let mut applied = many::update(transaction, &updates, rules::millis(micros)).await?.into_iter();
    let done = jobs.iter().map(|job| {
        if job.as_request().is_some() {
            let lease = leases.next().flatten()?;
            Some(Done::Acquired(Acquired::Leases(vec![lease])))
        } else if job.as_update().is_some() {
            let applied = applied.next().unwrap_or(false);
            applied.then(|| Done::Updated(vec![Updated::Applied]))
        } else {
            None
        }
    });
    Ok(done.collect())
}
