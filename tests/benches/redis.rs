//! How many operations a Redis store serves, beside the same scripts called by hand on the driver:
//! `cargo bench -p oncely-tests --bench redis`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use oncely::store::redis::RedisStore;
use oncely::store::{Acquired, Key, LeaseRequest, Store, StoredOutcome, Update};
use oncely_tests::redis::RedisServer;
use redis::aio::MultiplexedConnection;

const LONG: Duration = Duration::from_secs(60);
const RUN: Duration = Duration::from_millis(500);
const ROUNDS: usize = 5;
const OUTCOME: [u8; 200] = [b'x'; 200];

/// What each row repeats.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    Lock,
    First,
    Replay,
}

/// The floor of equal work: as many commands and bytes, without a rule or a record.
const TAKE: &str = "
    local time = redis.call('TIME')
    if redis.call('GET', KEYS[2]) then return {1} end
    local last = redis.call('GET', KEYS[1])
    redis.call('SET', KEYS[1], '3613285916672001')
    redis.call('SET', KEYS[2], '1 p r - - 3613285916672001 1764151230000 1764151200000 1\\n'
      .. ARGV[3], 'PX', ARGV[2])
    return {0, 3613285916672001, 1}";
const GIVE: &str = "
    local time = redis.call('TIME')
    redis.call('GET', KEYS[1])
    redis.call('SET', KEYS[1], '1 c r 0 - 3613285916672001 1764151230000 1764151200000 1\\n'
      .. ARGV[5], 'PX', ARGV[4])
    return {1}";
const READ: &str = "
    local time = redis.call('TIME')
    return {1, 1764151200000, redis.call('GET', KEYS[2])}";

#[derive(Clone)]
struct Floor {
    connection: MultiplexedConnection,
    names: Arc<Vec<String>>,
}

impl Floor {
    async fn open(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut names = Vec::new();
        for text in [TAKE, GIVE, READ] {
            let mut load = redis::cmd("SCRIPT");
            names.push(load.arg("LOAD").arg(text).query_async(&mut connection).await.unwrap());
        }
        Self { connection, names: Arc::new(names) }
    }

    async fn take(&self, script: usize, name: &str) -> Vec<redis::Value> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.names[script]).arg(2).arg("floor:last_token").arg(name);
        call.arg(60_000).arg(86_460_000).arg([7; 16].as_slice()).arg("").arg("r");
        call.query_async(&mut self.connection.clone()).await.unwrap()
    }

    async fn give(&self, script: usize, name: &str, outcome: &[u8]) -> Vec<redis::Value> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.names[script]).arg(1).arg(name);
        call.arg(3_613_285_916_672_001_u64).arg("f").arg(0).arg(60_000).arg(outcome);
        call.query_async(&mut self.connection.clone()).await.unwrap()
    }

    async fn step(&self, row: Row, name: &str) {
        match row {
            Row::Lock => {
                self.take(0, name).await;
                self.give(1, name, b"").await;
            }
            Row::First => {
                self.take(0, name).await;
                self.give(1, name, &OUTCOME).await;
            }
            Row::Replay => {
                self.take(2, "floor/done").await;
            }
        }
    }
}

async fn step(store: &RedisStore, row: Row, name: &str) {
    let name = if row == Row::Replay { "done" } else { name };
    let request = LeaseRequest::new(Key::lock("bench", name).unwrap(), LONG);
    let end = match (row, store.acquire(&[request]).await.unwrap()) {
        (Row::Replay, Acquired::Occupied(_)) => return,
        (Row::Lock, Acquired::Leases(leases)) => (leases[0].clone(), Update::Release),
        (Row::First, Acquired::Leases(leases)) => {
            let outcome = StoredOutcome::Value(OUTCOME.into());
            (leases[0].clone(), Update::Complete { outcome, retention: LONG })
        }
        other => panic!("{other:?}"),
    };
    store.update(&[end]).await.unwrap();
}

/// Steps per second, and the middle one's time.
async fn run<F>(tasks: usize, one: impl Fn(String) -> F + Clone + Send + 'static) -> (f64, f64)
where
    F: Future<Output = ()> + Send,
{
    static NAMES: AtomicU64 = AtomicU64::new(0);
    let started = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let one = one.clone();
        running.spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < RUN {
                let name = format!("key {:08}", NAMES.fetch_add(1, Ordering::Relaxed));
                let begun = Instant::now();
                one(name).await;
                times.push(begun.elapsed());
            }
            times
        });
    }
    let mut times: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort_unstable();
    (rate, times[times.len() / 2].as_secs_f64() * 1e6)
}

#[tokio::main]
async fn main() {
    let server = RedisServer::start();
    let store = Arc::new(RedisStore::connect(&server.url()).await.unwrap());
    let floor = Floor::open(&server.url()).await;
    step(&store, Row::First, "done").await;
    floor.take(0, "floor/done").await;
    floor.give(1, "floor/done", &OUTCOME).await;
    for row in [Row::Lock, Row::First, Row::Replay] {
        for tasks in [1, 16, 128] {
            let (mut ours, mut raw) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let copy = floor.clone();
                raw.push(
                    run(tasks, move |name| {
                        let floor = copy.clone();
                        async move { floor.step(row, &format!("floor/{name}")).await }
                    })
                    .await,
                );
                let copy = Arc::clone(&store);
                ours.push(
                    run(tasks, move |name| {
                        let store = Arc::clone(&copy);
                        async move { step(&store, row, &name).await }
                    })
                    .await,
                );
                server.ask::<()>(&["EVAL", "for _, k in ipairs(redis.call('KEYS', '*key *')) do redis.call('UNLINK', k) end", "0"]);
            }
            let middle = |of: &[(f64, f64)], which: fn(&(f64, f64)) -> f64| {
                let mut all: Vec<_> = of.iter().map(which).collect();
                all.sort_by(f64::total_cmp);
                all[all.len() / 2]
            };
            let rates = [middle(&ours, |r| r.0), middle(&raw, |r| r.0)];
            let times = [middle(&ours, |r| r.1), middle(&raw, |r| r.1)];
            println!(
                "{row:?} {tasks:3} tasks: {:7.0}/s of {:7.0}/s = {:.2}; p50 {:6.1} µs of {:6.1} µs = {:.2}",
                rates[0],
                rates[1],
                rates[0] / rates[1],
                times[0],
                times[1],
                times[0] / times[1],
            );
        }
    }
}
