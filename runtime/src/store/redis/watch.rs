//! Who waits for which key: one subscription per key, however many wait.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::link::start;

/// What stands before the key in the name of its channel; `queue.lua` has it too.
const CHANNEL: &str = "oncely:changed:";

/// How long a subscription outlives its last waiter: a key that is fought for is not subscribed to
/// again for each of them.
const LINGER: Duration = Duration::from_secs(5);

/// The subscriptions of one connection. What is sent on it is done in the order in which it was
/// sent, so a subscription stands before the acquire that follows it.
#[derive(Debug, Default)]
pub(super) struct Watches {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<String, Watch>,
    sweeping: bool,
    /// The connection is gone, and nothing will be heard any more.
    over: bool,
}

#[derive(Debug, Default)]
struct Watch {
    waiters: Arc<Notify>,
    /// Nobody has waited for a while.
    idle: bool,
}

impl Watches {
    /// Subscribes to `key` unless that is done; `None` if the connection is gone.
    pub(super) fn watch(
        self: &Arc<Self>,
        key: &str,
        connection: &MultiplexedConnection,
        runtime: &Handle,
    ) -> Option<OwnedNotified> {
        let mut state = self.state.lock();
        if state.over {
            return None;
        }
        let watch = match state.keys.entry(key.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                send(Command::Subscribe, key, connection, runtime);
                entry.insert(Watch::default())
            }
        };
        watch.idle = false;
        let told = Arc::clone(&watch.waiters).notified_owned();
        if !state.sweeping {
            state.sweeping = true;
            let watches = Arc::downgrade(self);
            runtime.spawn(sweep(watches, connection.clone(), runtime.clone()));
        }
        Some(told)
    }

    /// Passes on what the server pushed.
    pub(super) fn hear(&self, pushed: &PushInfo) {
        let (PushKind::Message, [Value::BulkString(channel), ..]) =
            (&pushed.kind, &pushed.data[..])
        else {
            return;
        };
        let key = channel.strip_prefix(CHANNEL.as_bytes());
        if let Some(key) = key.and_then(|key| std::str::from_utf8(key).ok())
            && let Some(watch) = self.state.lock().keys.get(key)
        {
            watch.waiters.notify_waiters();
        }
    }

    /// The connection is gone: whoever waits looks again, and subscribes on the next one.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.over = true;
        state.keys.drain().for_each(|(_, watch)| watch.waiters.notify_waiters());
    }

    /// Ends what nobody has waited for since the last sweep; true if something is left.
    fn sweep(&self, connection: &MultiplexedConnection, runtime: &Handle) -> bool {
        let mut state = self.state.lock();
        state.keys.retain(|key, watch| {
            let waited_for = Arc::strong_count(&watch.waiters) > 1;
            let kept = waited_for || !watch.idle;
            watch.idle = !waited_for;
            if !kept {
                send(Command::Unsubscribe, key, connection, runtime);
            }
            kept
        });
        state.sweeping = !state.keys.is_empty();
        state.sweeping
    }
}

async fn sweep(watches: Weak<Watches>, connection: MultiplexedConnection, runtime: Handle) {
    loop {
        tokio::time::sleep(LINGER).await;
        let Some(watches) = watches.upgrade() else { return };
        if !watches.sweep(&connection, &runtime) {
            return;
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Command {
    Subscribe,
    Unsubscribe,
}

/// Sends a command before it returns, and lets a task see to its answer.
fn send(command: Command, key: &str, connection: &MultiplexedConnection, runtime: &Handle) {
    let channel = format!("{CHANNEL}{key}");
    let mut connection = connection.clone();
    start(runtime, async move {
        let answer = match command {
            Command::Subscribe => connection.subscribe(channel).await,
            Command::Unsubscribe => connection.unsubscribe(channel).await,
        };
        if let Err(error) = answer {
            tracing::debug!(%error, "no news of a key; whoever waits for it looks now and then");
        }
    });
}
