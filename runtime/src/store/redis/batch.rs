//! Calls that meet on their way to one server go together, as one script.
//!
//! A script costs the server more to call than to run, and each command costs the driver two
//! messages. So when some calls are on their way, the next ones gather until the tasks that are ready
//! have run, and then share the price. They wait for those beside them and never for the server;
//! whoever meets no crowd pays two locks and is sent at once.
//!
//! Each call of a batch has its own answer, and gives up for itself: what they share is the way, and
//! only a lost connection or a script that fails as a whole is everybody's.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::{replace, take};
use std::pin::pin;
use std::slice::from_ref;
use std::sync::Arc;
use std::task::Poll;

use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::LIMIT;
use super::acquire;
use super::error::Failure;
use super::link::Link;
use super::script::{By, Script, TOKENS};
use super::update;
use crate::store::{Key, Lease, LeaseRequest, Update};

/// So many may be on their way before anybody waits for company.
const FEW: usize = 1;
/// So many tasks stay for the batches to come.
const CARRIERS: usize = 8;
/// How many calls go together at most: nobody else is served while their script runs.
const MOST: usize = 64;
/// An outcome longer than this goes alone, in bytes: it costs more than a call does, and would keep
/// others waiting.
const LONG: usize = 16 * 1024;

/// One thing that somebody asks for, of one key and by the server's own clock.
#[derive(Clone, Copy)]
pub(super) enum One<'a> {
    Acquire(&'a LeaseRequest),
    Update(&'a (Lease, Update)),
}

/// The same, for as long as it has to wait for others.
enum Kept {
    Acquire(LeaseRequest),
    Update((Lease, Update)),
}

impl<'a> One<'a> {
    fn key(self) -> &'a Key {
        match self {
            Self::Acquire(request) => &request.key,
            Self::Update(update) => &update.0.key,
        }
    }

    fn is_update(self) -> bool {
        matches!(self, Self::Update(_))
    }

    /// What tells the script what to do.
    fn letter(self) -> u8 {
        match self {
            Self::Acquire(request) => acquire::letter(request),
            Self::Update(update) => update::letter(&update.1),
        }
    }

    /// How long the outcome is that it brings, in bytes.
    fn outcome(self) -> usize {
        match self {
            Self::Acquire(_) => 0,
            Self::Update(update) => update::outcome(&update.1).len(),
        }
    }

    fn keep(self) -> Kept {
        match self {
            Self::Acquire(request) => Kept::Acquire(request.clone()),
            Self::Update(update) => Kept::Update(update.clone()),
        }
    }
}

/// A call that gathers with others, and whoever waits for its answer.
struct Waiting {
    call: Kept,
    answer: oneshot::Sender<Result<Value, Failure>>,
}

impl Waiting {
    fn call(&self) -> One<'_> {
        match &self.call {
            Kept::Acquire(request) => One::Acquire(request),
            Kept::Update(update) => One::Update(update),
        }
    }
}

/// What is on its way on one connection, and what gathers.
#[derive(Default)]
pub(super) struct Batches(Mutex<State>);

#[derive(Default)]
struct State {
    on_their_way: usize,
    waiting: Vec<Waiting>,
    /// Room for the next batch, which an earlier one left behind.
    spare: Vec<Waiting>,
    resting: Vec<Resting>,
}

/// A carrier that has nothing to carry. Dropped, it is called: to the next batch, or to its end
/// together with the connection.
struct Resting(Arc<Notify>);

impl Drop for Resting {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// How a call goes.
enum Going {
    Alone,
    /// The first of a batch, which somebody has to send: one who rests, if there is one.
    First(Answered, Option<Resting>),
    /// It has made the batch full.
    Last(Vec<Waiting>, Answered),
    Along(Answered),
}

type Answered = oneshot::Receiver<Result<Value, Failure>>;

impl Batches {
    fn enter(&self, call: One<'_>) -> Going {
        let mut state = self.0.lock();
        if call.outcome() > LONG || (state.on_their_way < FEW && state.waiting.is_empty()) {
            state.on_their_way += 1;
            return Going::Alone;
        }
        let (answer, answered) = oneshot::channel();
        state.waiting.push(Waiting { call: call.keep(), answer });
        match state.waiting.len() {
            1 => Going::First(answered, state.resting.pop()),
            MOST => Going::Last(state.leave(), answered),
            _ => Going::Along(answered),
        }
    }

    /// Those who have gathered go now.
    fn leave(&self) -> Vec<Waiting> {
        self.0.lock().leave()
    }

    /// Whether whoever is `called` so may wait for the next batch.
    fn rest(&self, called: &Arc<Notify>) -> bool {
        let mut state = self.0.lock();
        let may_rest = state.resting.len() < CARRIERS;
        if may_rest {
            state.resting.push(Resting(Arc::clone(called)));
        }
        may_rest
    }

    fn come_back(&self, count: usize, room: Vec<Waiting>) {
        let mut state = self.0.lock();
        state.on_their_way -= count;
        if room.capacity() > 0 {
            state.spare = room;
        }
    }
}

impl State {
    /// Those who wait, but for the ones that gave up.
    fn leave(&mut self) -> Vec<Waiting> {
        let spare = take(&mut self.spare);
        let mut batch = replace(&mut self.waiting, spare);
        batch.retain(|waiting| !waiting.answer.is_closed());
        self.on_their_way += batch.len();
        batch
    }
}

impl Link {
    /// Calls a script for one thing: at once, or together with others.
    ///
    /// Answered by then, or [`TooLate`](Failure::TooLate); those who go together share a timer.
    ///
    /// # Cancel safety
    /// Dropped, it may be sent all the same; those beside it are.
    pub(super) async fn run_one(
        self: &Arc<Self>,
        call: One<'_>,
        until: Instant,
    ) -> Result<Value, Failure> {
        if let One::Acquire(request) = call {
            // It is the caller's turn now, whatever was asked where a call was heard.
            drop(self.places().asks(request.attempt_id));
        }
        let answered = match self.batches.enter(call) {
            Going::Alone => {
                let _away = Away { link: self, count: 1, room: Vec::new() };
                let alone = pin!(self.run_alone(call));
                let answer = self.timers.within(self.runtime(), until, alone).await;
                return answer.unwrap_or(Err(Failure::TooLate));
            }
            Going::First(answered, resting) => {
                match resting {
                    // Dropped, it is called.
                    Some(carrier) => drop(carrier),
                    None => self.spawn(carry(Arc::clone(self))),
                }
                answered
            }
            Going::Last(batch, answered) => {
                let link = Arc::clone(self);
                self.send(async move { fly(&link, batch).await });
                answered
            }
            Going::Along(answered) => answered,
        };
        // Nobody answers if the runtime ends on the way.
        let gone = |_| Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        answered.await.unwrap_or_else(gone)
    }

    async fn run_alone(&self, call: One<'_>) -> Result<Value, Failure> {
        let script = if call.is_update() { Script::Update } else { Script::Acquire };
        let command = |by: By<'_>| match call {
            One::Acquire(request) => acquire::command(by, TOKENS, from_ref(request), 0),
            One::Update(update) => update::command(by, from_ref(update), 0),
        };
        self.run(script, command).await
    }
}

/// So many calls are on their way. Dropped, they have come back, or nobody waits for them any more.
struct Away<'a> {
    link: &'a Link,
    count: usize,
    /// Where they were, once they are told.
    room: Vec<Waiting>,
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.link.batches.come_back(self.count, take(&mut self.room));
    }
}

/// Sends those who have gathered when the tasks that were ready before have run; and those after
/// them, as long as the connection is there: a new task for each batch costs more than the rest of it.
async fn carry(link: Arc<Link>) {
    let (called, known) = (Arc::new(Notify::new()), Arc::downgrade(&link));
    let mut link = Some(link);
    while let Some(there) = link {
        others_first().await;
        fly(&there, there.batches.leave()).await;
        if !there.batches.rest(&called) {
            return;
        }
        drop(there);
        called.notified().await;
        link = known.upgrade();
    }
}

/// Lets the tasks run that are ready. `yield_now` would also wait for news from outside, and for a
/// thread that is held up; the others may take this up.
pub(super) fn others_first() -> impl Future<Output = ()> {
    let mut have_run = false;
    poll_fn(move |context| match replace(&mut have_run, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
}

/// Sends a batch, and gives everybody their answer.
async fn fly(link: &Link, mut batch: Vec<Waiting>) {
    let mut away = Away { link, count: batch.len(), room: Vec::new() };
    // Updates come first: they give back what others ask for.
    batch.sort_by_key(|waiting| !waiting.call().is_update());
    let sent = async {
        match &batch[..] {
            [] => Ok(Value::Array(Vec::new())),
            [waiting] => {
                link.run_alone(waiting.call()).await.map(|answer| Value::Array(vec![answer]))
            }
            _ => link.run(Script::Many, |by| command(by, &batch)).await,
        }
    };
    let until = Instant::now() + LIMIT;
    let answers = link.timers.within(link.runtime(), until, pin!(sent)).await;
    let answers = answers.unwrap_or(Err(Failure::TooLate));
    pass_on(answers, &mut batch);
    away.room = batch;
}

/// The call for all of them, of which the updates come first.
fn command(by: By<'_>, batch: &[Waiting]) -> Cmd {
    let updates = batch.partition_point(|waiting| waiting.call().is_update());
    let mut letters = Vec::with_capacity(batch.len() + 1);
    letters.extend(batch[..updates].iter().map(|waiting| waiting.call().letter()));
    letters.push(b'|');
    letters.extend(batch[updates..].iter().map(|waiting| waiting.call().letter()));
    let outcomes = batch.iter().map(|waiting| waiting.call().outcome()).sum();
    let mut command = Script::call(by, batch.len() + 1, update::ARGUMENTS, outcomes);
    command.arg(TOKENS);
    for waiting in batch {
        command.arg(waiting.call().key().as_str());
    }
    command.arg(letters);
    for waiting in batch {
        match waiting.call() {
            One::Acquire(request) => acquire::wish(&mut command, request),
            One::Update(one) => update::arguments_of_many(&mut command, one),
        }
    }
    command
}

/// Gives everybody their answer, and leaves nobody behind.
fn pass_on(answers: Result<Value, Failure>, batch: &mut Vec<Waiting>) {
    let answers = match answers {
        Ok(Value::Array(answers)) if answers.len() == batch.len() => Ok(answers),
        Ok(_) => Err(Failure::odd("many")),
        Err(failure) => Err(failure),
    };
    match answers {
        Ok(answers) => {
            for (waiting, answer) in batch.drain(..).zip(answers) {
                let answer = answer.extract_error().map_err(Failure::from);
                let _ = waiting.answer.send(answer);
            }
        }
        Err(failure) => batch.drain(..).for_each(|waiting| {
            let _ = waiting.answer.send(Err(failure.clone()));
        }),
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Batches")
            .field("on_their_way", &state.on_their_way)
            .field("waiting", &state.waiting.len())
            .finish()
    }
}
