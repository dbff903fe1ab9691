//! Who of this process has a place in the queue of a key: one channel for all of them.

use std::collections::HashMap;
use std::fmt;
use std::future::{poll_fn, ready};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem::{replace, take};
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, PushInfo, PushKind, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

use super::acquire;
use super::batch::others_first;
use super::error::Failure;
use super::link::{Link, start};
use super::script::{By, Script, TOKENS, millis};
use crate::store::record::TOMBSTONE;
use crate::store::{AttemptId, BoxFuture, LeaseRequest};

/// What stands before the connection's name in the name of its channel; `queue.lua` has it too.
const CHANNEL: &str = "oncely:granted:";

/// When the second in a queue looks whether the first has come, for whom the scripts keep the key until
/// just before.
pub(super) const RESERVED: Duration = Duration::from_millis(251);

/// States in which a key is given up: it was handed over, and nobody has taken it; or it was taken too,
/// by a request whose answer nobody has heard.
const GRANTED: &str = "g";
const GRANTED_OR_TAKEN: &str = "gp";

/// How long a queue outlives the last sign of those in it.
const KEPT: Duration = Duration::from_secs(60);

/// The places of one connection.
pub(super) struct Places {
    /// By which those who give keys back know this connection: 16 letters.
    name: String,
    state: Mutex<State>,
    link: OnceLock<Weak<Link>>,
}

#[derive(Default)]
struct State {
    waiters: HashMap<AttemptId, Waiter>,
    subscribed: bool,
    /// The connection is gone or given up: those who wait look again, and ask on another one.
    over: bool,
}

/// Somebody who has a place.
#[derive(Default)]
struct Waiter {
    calls: watch::Sender<Call>,
    ahead: Ahead,
}

/// Whether the key is asked for where the call is heard, which spares the way to whoever waits.
#[derive(Default)]
enum Ahead {
    /// Whoever waits asks.
    #[default]
    No,
    /// It will be, with this request.
    Ready(LeaseRequest),
    /// It was, and nobody has been told so.
    Asked(Answering),
}

/// What was asked for since then.
pub(super) struct Answering {
    pub(super) link: Arc<Link>,
    pub(super) since: Instant,
    pub(super) answer: BoxFuture<'static, Result<Value, Failure>>,
}

/// What those who give keys back tell somebody who waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Call {
    #[default]
    Nothing,
    /// Somebody else was called; if they do not come it is your turn.
    Next,
    /// Ask for the key.
    Now,
}

impl Places {
    pub(super) fn new() -> Self {
        // `RandomState` is seeded from the operating system's random source.
        let name = format!("{:016x}", RandomState::new().build_hasher().finish());
        Self { name, state: Mutex::default(), link: OnceLock::new() }
    }

    /// From now on places that nobody wants any more are given up through this connection.
    pub(super) fn attach(&self, link: &Arc<Link>) {
        let _ = self.link.set(Arc::downgrade(link));
    }

    /// Listens for a call for `attempt`; `None` if the connection is gone.
    pub(super) fn join(
        &self,
        attempt: AttemptId,
        connection: &MultiplexedConnection,
        runtime: &Handle,
    ) -> Option<Calls> {
        let mut state = self.state.lock();
        if state.over {
            return None;
        }
        if !replace(&mut state.subscribed, true) {
            let (mut connection, channel) = (connection.clone(), format!("{CHANNEL}{}", self.name));
            start(runtime, async move {
                if let Err(error) = connection.subscribe(channel).await {
                    tracing::debug!(%error, "no key is handed over; who waits looks now and then");
                }
            });
        }
        Some(Calls(state.waiters.entry(attempt).or_default().calls.subscribe()))
    }

    /// Forgets one place of `attempt`. If it has no other: whether the key was asked for.
    fn part(&self, attempt: AttemptId) -> Option<bool> {
        let mut state = self.state.lock();
        // The one that parts is still counted.
        state.waiters.get(&attempt).filter(|waiter| waiter.calls.receiver_count() <= 1)?;
        let parted = state.waiters.remove(&attempt)?;
        Some(matches!(parted.ahead, Ahead::Asked(_)))
    }

    /// Whoever waits for this listens, and does not ask.
    fn listens(&self, request: &LeaseRequest) {
        if let Some(waiter) = self.state.lock().waiters.get_mut(&request.attempt_id)
            && let Ahead::No = waiter.ahead
        {
            waiter.ahead = Ahead::Ready(request.clone());
        }
    }

    /// Whoever waits under `attempt` asks from now on; what was asked so far.
    pub(super) fn asks(&self, attempt: AttemptId) -> Option<Answering> {
        let mut state = self.state.lock();
        let waiter = state.waiters.get_mut(&attempt)?;
        match take(&mut waiter.ahead) {
            Ahead::Asked(answering) => Some(answering),
            Ahead::No | Ahead::Ready(_) => None,
        }
    }

    /// Passes a call on, or gives the place up if nobody is there any more: the call and the one
    /// who gave up have met on the way.
    pub(super) fn hear(&self, pushed: &PushInfo) {
        let (PushKind::Message, [Value::BulkString(channel), Value::BulkString(call), ..]) =
            (&pushed.kind, &pushed.data[..])
        else {
            return;
        };
        let mine = channel.strip_prefix(CHANNEL.as_bytes()) == Some(self.name.as_bytes());
        let Some((word, call)) = call.split_first_chunk::<3>().filter(|_| mine) else { return };
        let Some((attempt, key)) = call.split_first_chunk() else { return };
        let attempt = AttemptId::from_bytes(*attempt);
        let word = if word == b"now" { Call::Now } else { Call::Next };
        let mut state = self.state.lock();
        let is_over = state.over;
        let Some(waiter) = state.waiters.get_mut(&attempt) else {
            drop(state);
            if let Some(link) = self.link() {
                leave(&link, key.to_vec(), attempt, GRANTED, 0);
            }
            return;
        };
        if let (Call::Now, Ahead::Ready(request)) = (word, &waiter.ahead)
            && !is_over
            && let Some(link) = self.link()
        {
            let calls = waiter.calls.clone();
            waiter.ahead = Ahead::Asked(ask_for_key(Arc::clone(&link), request.clone()));
            // Whoever waits wakes while the server answers, and not before it has been asked: the
            // driver, which calls this, sends what it was given when it is polled again.
            link.spawn(async move {
                others_first().await;
                calls.send_replace(word);
            });
            return;
        }
        waiter.calls.send_replace(word);
    }

    fn link(&self) -> Option<Arc<Link>> {
        self.link.get().and_then(Weak::upgrade)
    }

    /// The connection is gone: whoever waits looks again, and queues on the next one.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.over = true;
        for waiter in state.waiters.values() {
            waiter.calls.send_replace(Call::Now);
        }
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What one place hears.
pub(super) struct Calls(watch::Receiver<Call>);

/// A place in the queue of one key.
pub(super) struct Place {
    link: Arc<Link>,
    key: Arc<str>,
    attempt: AttemptId,
    offset: i64,
    calls: Calls,
    asking: BoxFuture<'static, Result<Value, Failure>>,
    /// Nobody has called, so the place is still in the queue.
    kept: bool,
}

impl Place {
    /// A place for `request`, who hears these calls; it is asked for when this returns.
    pub(super) fn new(link: &Arc<Link>, calls: Calls, request: &LeaseRequest, offset: i64) -> Self {
        let (key, attempt) = (Arc::<str>::from(request.key.as_str()), request.attempt_id);
        let asking = ask(link, &key, attempt, offset);
        Self { link: Arc::clone(link), key, attempt, offset, calls, asking, kept: true }
    }

    /// Resolves when it is time to ask for the key again.
    pub(super) async fn called(mut self) {
        self.hears().await;
    }

    /// As [`called`](Self::called); gives what was asked for `request` where the call was heard, if
    /// somebody had polled this since they last asked themselves.
    pub(super) async fn called_to(mut self, request: LeaseRequest) -> Option<Answering> {
        let link = Arc::clone(&self.link);
        let mut hears = Box::pin(self.hears());
        let mut begins = true;
        poll_fn(|context| {
            if !replace(&mut begins, false) {
                link.places().listens(&request);
            }
            hears.as_mut().poll(context)
        })
        .await;
        link.places().asks(request.attempt_id)
    }

    async fn hears(&mut self) {
        let (mut asked, mut look) = (true, Instant::now() + KEPT / 3);
        loop {
            tokio::select! {
                biased;
                called = self.calls.0.changed() => match *self.calls.0.borrow_and_update() {
                    Call::Next if called.is_ok() => look = Instant::now() + RESERVED,
                    Call::Nothing if called.is_ok() => {}
                    Call::Next | Call::Nothing | Call::Now => break,
                },
                answer = &mut self.asking, if asked => match answer {
                    Ok(Value::Int(0)) => asked = false,
                    Ok(_) => break,
                    Err(_) => {
                        // Perhaps there is no right to queue; there may be one to listen.
                        if let Some(changed) = self.link.watch(&self.key) {
                            changed.await;
                        }
                        break;
                    }
                },
                () = sleep_until(look) => {
                    self.asking = ask(&self.link, &self.key, self.attempt, self.offset);
                    (asked, look) = (true, Instant::now() + KEPT / 3);
                }
            }
        }
        self.kept = false;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let what = match self.link.places().part(self.attempt) {
            // What was asked for goes out before this, and nothing after it that could be meant: as
            // long as the connection is there, whoever waits asks on it too. If it is not, they may
            // hold by now, from another one, what was asked for here.
            Some(true) if self.link.is_alive() => GRANTED_OR_TAKEN,
            Some(_) if self.kept => GRANTED,
            Some(_) | None => return,
        };
        leave(&self.link, self.key.as_bytes().into(), self.attempt, what, self.offset);
    }
}

/// Asks for the key itself; it is sent when this returns.
fn ask_for_key(link: Arc<Link>, request: LeaseRequest) -> Answering {
    let (asks, since) = (Arc::clone(&link), Instant::now());
    let answer = sent(async move {
        let request = std::slice::from_ref(&request);
        let command = |by: By<'_>| acquire::command(by, TOKENS, request, 0);
        asks.run(Script::Acquire, command).await
    });
    Answering { link, since, answer }
}

/// Polls once, so that what is to be sent is on its way.
fn sent(
    future: impl Future<Output = Result<Value, Failure>> + Send + 'static,
) -> BoxFuture<'static, Result<Value, Failure>> {
    let mut future: BoxFuture<'static, _> = Box::pin(unconstrained(future));
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Box::pin(ready(answer)),
        Poll::Pending => future,
    }
}

/// Asks for a place in the queue, or for keeping it.
fn ask(
    link: &Arc<Link>,
    key: &Arc<str>,
    attempt: AttemptId,
    offset: i64,
) -> BoxFuture<'static, Result<Value, Failure>> {
    let (link, key) = (Arc::clone(link), Arc::clone(key));
    sent(async move {
        let name = &link.places().name;
        let command = |by: By<'_>| {
            let mut command = Script::call(by, 1, 3, 0);
            named(&mut command, key.as_bytes(), attempt, name, KEPT);
            Script::end(&mut command, offset);
            command
        };
        link.run(Script::Wait, command).await
    })
}

/// Gives a place up, and the key with it if it was handed over and is in one of these states.
fn leave(link: &Arc<Link>, key: Vec<u8>, attempt: AttemptId, states: &'static str, offset: i64) {
    let left = Arc::clone(link);
    link.send(async move {
        let name = &left.places().name;
        let command = |by: By<'_>| {
            let mut command = Script::call(by, 1, 4, 0);
            named(&mut command, &key, attempt, name, TOMBSTONE);
            command.arg(states);
            Script::end(&mut command, offset);
            command
        };
        if let Err(error) = left.run(Script::Leave, command).await {
            tracing::debug!(?error, "a place in a queue is left to those who find nobody there");
        }
    });
}

/// The key, who wants it and hears where, and for how long what is written is kept.
fn named(command: &mut Cmd, key: &[u8], attempt: AttemptId, name: &str, kept: Duration) {
    command.arg(key).arg(attempt.as_bytes().as_slice()).arg(name).arg(millis(kept));
}
