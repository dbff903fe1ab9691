//! News of keys that somebody waits for: one connection that listens, as long as anybody waits.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::PgConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::columns;
use super::super::failure::Failure;
use super::super::name;
use super::Postgres;
use crate::store::{Key, Occupant, Token};

/// How long keys are watched and the connection is kept though nobody waits, since whoever did may come
/// again; and how often that is looked into.
const LINGER: Duration = Duration::from_secs(5);
/// How long to wait before a connection that was lost is opened again.
const PAUSE: Duration = Duration::from_millis(200);

/// Marks a record that somebody waits for, so that its holder tells when it is done.
const MARK: &str = "update oncely_records set waited_for = true \
     where key = $1 and token = $2 and state = 0";

/// Who waits for which key.
#[derive(Debug)]
pub(super) struct Watches {
    options: PgConnectOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    watches: HashMap<Vec<u8>, Watch>,
    /// The runtimes that listen: each for itself, as a connection stands still with its runtime.
    listening: Vec<Id>,
}

#[derive(Debug)]
struct Watch {
    told: Arc<Notify>,
    /// When somebody last came to wait.
    since: Instant,
    /// The holder who will tell.
    marked: Option<Token>,
}

impl Watch {
    fn new() -> Self {
        Self { told: Arc::default(), since: Instant::now(), marked: None }
    }

    fn is_over(&self) -> bool {
        Arc::strong_count(&self.told) == 1 && self.since.elapsed() >= LINGER
    }
}

impl Watches {
    pub(super) fn new(options: PgConnectOptions) -> Arc<Self> {
        Arc::new(Self { options, state: Mutex::default() })
    }

    /// Resolves when there is news of `key`.
    pub(super) fn watch(self: &Arc<Self>, key: &Key, runtime: &Handle) -> OwnedNotified {
        let mut state = self.state.lock();
        let watch = state.watches.entry(name::column(key)).or_insert_with(Watch::new);
        watch.since = Instant::now();
        let told = Arc::clone(&watch.told).notified_owned();
        if !state.listening.contains(&runtime.id()) {
            state.listening.push(runtime.id());
            let turn = Turn { watches: Arc::downgrade(self), runtime: runtime.id(), over: false };
            runtime.spawn(listen(turn, self.options.clone()));
        }
        told
    }

    /// Whether somebody here waits for the occupant's key, and its holder does not know.
    pub(super) fn must_mark(&self, occupant: &Occupant) -> bool {
        let state = self.state.lock();
        let watch = state.watches.get(&name::column(&occupant.key));
        watch.is_some_and(|watch| watch.marked != Some(occupant.token))
    }

    /// The holder knows now.
    pub(super) fn is_marked(&self, occupant: &Occupant) {
        if let Some(watch) = self.state.lock().watches.get_mut(&name::column(&occupant.key)) {
            watch.marked = Some(occupant.token);
        }
    }

    fn hear(&self, payload: &str) {
        let digits = payload.as_bytes().chunks_exact(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        let Some(key) = digits.collect::<Option<Vec<u8>>>() else { return };
        if let Some(watch) = self.state.lock().watches.get(&key) {
            watch.told.notify_waiters();
        }
    }

    /// Nothing was heard for a while: whoever waits looks for themselves.
    fn tell_all(&self) {
        self.state.lock().watches.values().for_each(|watch| watch.told.notify_waiters());
    }

    /// Forgets the keys that nobody waits for. If none is left, nobody of this runtime listens any
    /// more, and the next waiter starts again.
    fn is_over(&self, runtime: Id) -> bool {
        let mut state = self.state.lock();
        state.watches.retain(|_, watch| !watch.is_over());
        if state.watches.is_empty() {
            state.listening.retain(|id| *id != runtime);
        }
        state.watches.is_empty()
    }
}

/// Marks the occupant; `false` if it is gone.
pub(super) async fn mark(
    dialect: &Postgres,
    connection: &mut PgConnection,
    occupant: &Occupant,
) -> Result<bool, Failure> {
    dialect
        .pinned(connection, async |connection| {
            let marked = sqlx::query(MARK)
                .persistent(dialect.persistent)
                .bind(name::column(&occupant.key))
                .bind(columns::column(occupant.token))
                .execute(connection)
                .await?;
            Ok(marked.rows_affected() == 1)
        })
        .await
}

/// The task that listens. When it ends, with its runtime or by itself, the next waiter starts another.
struct Turn {
    watches: Weak<Watches>,
    runtime: Id,
    over: bool,
}

impl Turn {
    fn is_over(&mut self) -> bool {
        self.over = self.watches.upgrade().is_none_or(|watches| watches.is_over(self.runtime));
        self.over
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(watches) = self.watches.upgrade().filter(|_| !self.over) {
            watches.state.lock().listening.retain(|id| *id != self.runtime);
        }
    }
}

async fn listen(mut turn: Turn, options: PgConnectOptions) {
    while !turn.is_over() {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        let heard = hear(&mut turn, &pool).await;
        pool.close().await;
        if turn.over {
            return;
        }
        if let Err(error) = heard {
            tracing::debug!(%error, "no news of keys; whoever waits looks now and then");
            sleep(PAUSE).await;
        }
    }
}

/// Listens until nobody waits, or until the connection is lost.
async fn hear(turn: &mut Turn, pool: &sqlx::PgPool) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("oncely").await?;
    // What came before is not heard.
    if let Some(watches) = turn.watches.upgrade() {
        watches.tell_all();
    }
    let mut check = Instant::now() + LINGER;
    loop {
        let heard = timeout_at(check, listener.try_recv()).await;
        let Some(watches) = turn.watches.upgrade() else { return Ok(()) };
        match heard {
            Ok(Ok(Some(news))) => watches.hear(news.payload()),
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
        drop(watches);
        // However much there is to hear.
        if Instant::now() >= check {
            if turn.is_over() {
                return Ok(());
            }
            check = Instant::now() + LINGER;
        }
    }
}
