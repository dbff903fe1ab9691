//! Calls that meet on their way to one server go together, as one script.
//!
//! A script costs the server more to call than to run, and each command costs the driver two
//! messages. So when many calls are on their way, the next ones gather until they are as many, or
//! until one comes back, and then share the price. They pay with waiting, for less than a round
//! trip; whoever meets no crowd pays two locks and is sent at once.
//!
//! Each call of a batch has its own answer, and gives up for itself: what they share is the way, and
//! only a lost connection or a script that fails as a whole is everybody's.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::acquire;
use super::error::Failure;
use super::link::Link;
use super::script::{By, Script, TOKENS};
use super::update;
use crate::store::{Key, Lease, LeaseRequest, Update};

/// So many may be on their way before anybody waits. Beyond them, a call waits while those that wait
/// are fewer than those on their way.
const FEW: usize = 8;
/// How many calls go together at most: nobody else is served while their script runs.
const MOST: usize = 64;
/// An outcome longer than this goes alone, in bytes: it costs more than a call does, and would keep
/// others waiting.
const LONG: usize = 16 * 1024;

/// One thing that somebody asks for, of one key and by the server's own clock.
pub(super) enum One<'a> {
    Acquire(Cow<'a, LeaseRequest>),
    Update(Cow<'a, (Lease, Update)>),
}

impl One<'_> {
    fn key(&self) -> &Key {
        match self {
            Self::Acquire(request) => &request.key,
            Self::Update(update) => &update.0.key,
        }
    }

    fn is_update(&self) -> bool {
        matches!(self, Self::Update(_))
    }

    fn is_long(&self) -> bool {
        match self {
            Self::Acquire(_) => false,
            Self::Update(update) => match &update.1 {
                Update::Complete { outcome, .. } => outcome.payload().len() > LONG,
                Update::Renew { .. } | Update::Release | Update::Interrupt => false,
            },
        }
    }

    fn keep(&self) -> One<'static> {
        match self {
            Self::Acquire(request) => One::Acquire(Cow::Owned(request.as_ref().clone())),
            Self::Update(update) => One::Update(Cow::Owned(update.as_ref().clone())),
        }
    }
}

/// A call that waits for others to come back, and whoever waits for its answer.
struct Waiting {
    call: One<'static>,
    answer: oneshot::Sender<Result<Value, Failure>>,
}

/// What is on its way on one connection, and what gathers meanwhile.
#[derive(Default)]
pub(super) struct Batches(Mutex<State>);

#[derive(Default)]
struct State {
    on_their_way: usize,
    waiting: Vec<Waiting>,
}

/// How a call goes.
enum Going {
    Alone,
    /// It has gathered the last that were missing, and sends them all.
    With(Vec<Waiting>, Answered),
    Later(Answered),
}

type Answered = oneshot::Receiver<Result<Value, Failure>>;

impl Batches {
    fn enter(&self, call: &One<'_>) -> Going {
        let mut state = self.0.lock();
        let enough = state.waiting.len() + FEW >= state.on_their_way;
        if call.is_long() || (enough && state.waiting.is_empty()) {
            state.on_their_way += 1;
            return Going::Alone;
        }
        let (answer, answered) = oneshot::channel();
        state.waiting.push(Waiting { call: call.keep(), answer });
        if enough || state.waiting.len() >= MOST {
            Going::With(state.leave(), answered)
        } else {
            Going::Later(answered)
        }
    }

    /// So many have come back; those who waited for it go now.
    fn come_back(&self, count: usize) -> Vec<Waiting> {
        let mut state = self.0.lock();
        state.on_their_way -= count;
        state.leave()
    }
}

impl State {
    /// Those who wait, but for the ones that gave up.
    fn leave(&mut self) -> Vec<Waiting> {
        let mut batch = std::mem::take(&mut self.waiting);
        batch.retain(|waiting| !waiting.answer.is_closed());
        self.on_their_way += batch.len();
        batch
    }
}

impl Link {
    /// Calls a script for one thing: at once, or together with others.
    ///
    /// # Cancel safety
    /// Dropped, it may be sent all the same; those beside it are.
    pub(super) async fn run_one(self: &Arc<Self>, call: One<'_>) -> Result<Value, Failure> {
        let answered = match self.batches.enter(&call) {
            Going::Alone => return self.run_alone(call).await,
            Going::With(batch, answered) => {
                self.send(fly(Arc::clone(self), batch));
                answered
            }
            Going::Later(answered) => answered,
        };
        // Nobody answers if the runtime ends on the way.
        let gone = |_| Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        answered.await.unwrap_or_else(gone)
    }

    async fn run_alone(self: &Arc<Self>, call: One<'_>) -> Result<Value, Failure> {
        let _alone = Alone(self);
        match &call {
            One::Acquire(request) => {
                let request = std::slice::from_ref(request.as_ref());
                let command = |by: By<'_>| acquire::command(by, TOKENS, request, 0);
                self.run(Script::Acquire, command).await
            }
            One::Update(update) => {
                let update = std::slice::from_ref(update.as_ref());
                self.run(Script::Update, |by| update::command(by, update, 0)).await
            }
        }
    }
}

/// A call on its way. Dropped, it has come back, or nobody waits for it any more.
struct Alone<'a>(&'a Arc<Link>);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let next = self.0.batches.come_back(1);
        if !next.is_empty() {
            self.0.send(fly(Arc::clone(self.0), next));
        }
    }
}

/// Sends a batch, and what has gathered when that has come back, until nothing has.
async fn fly(link: Arc<Link>, mut batch: Vec<Waiting>) {
    while !batch.is_empty() {
        // Updates come first: they give back what others ask for.
        batch.sort_by_key(|waiting| !waiting.call.is_update());
        let answers = link.run(Script::Many, |by| command(by, &batch)).await;
        let count = batch.len();
        pass_on(answers, batch);
        // Those who have their answers may have something else to ask, and can go along.
        yield_now().await;
        batch = link.batches.come_back(count);
    }
}

/// The call for all of them, of which the updates come first.
fn command(by: By<'_>, batch: &[Waiting]) -> Cmd {
    let updates = batch.iter().filter(|waiting| waiting.call.is_update()).count();
    let mut command = Script::call(by, batch.len() + 1, update::ARGUMENTS);
    command.arg(TOKENS);
    for waiting in batch {
        command.arg(waiting.call.key().as_str());
    }
    command.arg(updates);
    for waiting in batch {
        match &waiting.call {
            One::Acquire(request) => acquire::arguments(&mut command, request),
            One::Update(one) => update::arguments(&mut command, one),
        }
    }
    command
}

/// Gives everybody their answer.
fn pass_on(answers: Result<Value, Failure>, batch: Vec<Waiting>) {
    let answers = match answers {
        Ok(Value::Array(answers)) if answers.len() == batch.len() => Ok(answers),
        Ok(_) => Err(Failure::odd("many")),
        Err(failure) => Err(failure),
    };
    match answers {
        Ok(answers) => {
            for (waiting, answer) in batch.into_iter().zip(answers) {
                let answer = answer.extract_error().map_err(Failure::from);
                let _ = waiting.answer.send(answer);
            }
        }
        Err(failure) => batch.into_iter().for_each(|waiting| {
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
