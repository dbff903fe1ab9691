//! Who of this process has a place in the queue of a key: one channel for all of them.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::hash::{BuildHasher, Hasher, RandomState};
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

use super::error::Failure;
use super::link::{Link, start};
use super::script::{By, Script, millis};
use crate::store::record::TOMBSTONE;
use crate::store::{AttemptId, BoxFuture, LeaseRequest};

/// What stands before the connection's name in the name of its channel; `queue.lua` has it too.
const CHANNEL: &str = "oncely:granted:";

/// When the second in a queue looks whether the first has come; `queue.lua` keeps the key for 250 ms.
const RESERVED: Duration = Duration::from_millis(251);

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
    waiters: HashMap<AttemptId, watch::Sender<Call>>,
    subscribed: bool,
    /// The connection is gone, and nothing will be heard any more.
    over: bool,
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
        if !std::mem::replace(&mut state.subscribed, true) {
            let (mut connection, channel) = (connection.clone(), format!("{CHANNEL}{}", self.name));
            start(runtime, async move {
                if let Err(error) = connection.subscribe(channel).await {
                    tracing::debug!(%error, "no key is handed over; who waits looks now and then");
                }
            });
        }
        Some(Calls(state.waiters.entry(attempt).or_default().subscribe()))
    }

    /// Forgets one place of `attempt`; true if it has no other.
    fn part(&self, attempt: AttemptId) -> bool {
        let mut state = self.state.lock();
        // The one that parts is still counted.
        let last = state.waiters.get(&attempt).is_some_and(|calls| calls.receiver_count() <= 1);
        if last {
            state.waiters.remove(&attempt);
        }
        last
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
        if let Some(calls) = self.state.lock().waiters.get(&attempt) {
            calls.send_replace(word);
        } else if let Some(link) = self.link.get().and_then(Weak::upgrade) {
            leave(&link, key.to_vec(), attempt, 0);
        }
    }

    /// The connection is gone: whoever waits looks again, and queues on the next one.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.over = true;
        for calls in state.waiters.values() {
            calls.send_replace(Call::Now);
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
        let mut asking = ask(link, &key, attempt, offset);
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = asking.as_mut().poll(&mut context) {
            asking = Box::pin(ready(answer));
        }
        Self { link: Arc::clone(link), key, attempt, offset, calls, asking, kept: true }
    }

    /// Resolves when it is time to ask for the key again.
    pub(super) async fn called(mut self) {
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
        if self.link.places().part(self.attempt) && self.kept {
            leave(&self.link, self.key.as_bytes().into(), self.attempt, self.offset);
        }
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
    Box::pin(unconstrained(async move {
        let name = &link.places().name;
        let command = |by: By<'_>| call(by, key.as_bytes(), attempt, name, KEPT, offset);
        link.run(Script::Wait, command).await
    }))
}

/// Gives a place up, and the key with it if it was handed over and nobody has taken it.
fn leave(link: &Arc<Link>, key: Vec<u8>, attempt: AttemptId, offset: i64) {
    let left = Arc::clone(link);
    link.send(async move {
        let name = &left.places().name;
        let command = |by: By<'_>| call(by, &key, attempt, name, TOMBSTONE, offset);
        if let Err(error) = left.run(Script::Leave, command).await {
            tracing::debug!(?error, "a place in a queue is left to those who find nobody there");
        }
    });
}

fn call(
    by: By<'_>,
    key: &[u8],
    attempt: AttemptId,
    name: &str,
    kept: Duration,
    offset: i64,
) -> Cmd {
    let mut command = Script::call(by, 1, 3);
    command.arg(key).arg(attempt.as_bytes().as_slice()).arg(name).arg(millis(kept));
    Script::end(&mut command, offset);
    command
}
