//! Keys that nobody else wants: what a call costs, and how many a server serves.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use oncely::Coordinator;

use super::floor::Floor;
use super::peers;
use super::server::Server;
use crate::Options;
use crate::calls::{lock, pay, pay_locked};
use crate::measure::{Load, Rounds, Step, load, step};
use crate::receipt;
use crate::table::{Goal, Row};

const ROUNDS: usize = 31;
const TURN: Duration = Duration::from_millis(120);
const MANY: usize = 128;
/// How many outcomes there are to replay.
const STORED: u64 = 1_000;

/// The rows that are wanted.
pub(super) async fn rows(server: &Server, options: &Options) -> Result<Vec<Row>> {
    let oncely = Coordinator::connect(&server.url()).await?;
    let floor = Floor::new(server.connect().await?).await?;
    let mut rows = Vec::new();
    if options.want(&["lock"]) {
        rows.extend(locks(server, &oncely, &floor).await?);
    }
    if options.want(&["first", "fused_c1"]) {
        rows.extend(first_calls(server, &oncely, &floor).await?);
    }
    if options.want(&["replay"]) {
        rows.extend(replays(server, &oncely, &floor).await?);
    }
    if options.want(&["fused_trips"]) {
        rows.push(fused_trips(server, &oncely).await?);
    }
    Ok(rows)
}

async fn locks(server: &Server, oncely: &Coordinator, floor: &Floor) -> Result<Vec<Row>> {
    let oncely = oncely.clone();
    let ours = step(move |number| {
        let oncely = oncely.clone();
        async move { Ok(lock(&oncely, number).await.map(drop)?) }
    });
    let floor = floor.clone();
    let floor = step(move |number| floor.clone().lock(format!("floor/lock/order:{number}")));
    let url = server.url();
    let steps = [ours, floor, peers::rslock(&url), peers::async_redis_lock(&url).await?];
    let one = rounds(1, &steps, || server.clear()).await?.medians;
    let many = rounds(MANY, &steps, || server.clear()).await?.rates;
    let one = |name, place, goal| Row::compared(name, one.compared(place, 1), "µs", goal);
    let many = |name, place, goal| Row::compared(name, many.compared(place, 1), "ops/s", goal);
    Ok(vec![
        one("lock_c1", 0, Goal::AtMost(1.10)),
        one("lock_c1_rslock", 2, Goal::None),
        one("lock_c1_async_redis_lock", 3, Goal::None),
        many("lock_c128", 0, Goal::AtLeast(0.95)),
        many("lock_c128_rslock", 2, Goal::None),
        many("lock_c128_async_redis_lock", 3, Goal::None),
    ])
}

async fn first_calls(server: &Server, oncely: &Coordinator, floor: &Floor) -> Result<Vec<Row>> {
    let shared = oncely.clone();
    let ours = step(move |number| {
        let oncely = shared.clone();
        async move { Ok(pay(&oncely, number).await.map(drop)?) }
    });
    let shared = oncely.clone();
    let fused = step(move |number| {
        let oncely = shared.clone();
        async move { Ok(pay_locked(&oncely, number).await.map(drop)?) }
    });
    let floor = floor.clone();
    let floor = step(move |number| {
        let floor = floor.clone();
        async move { floor.call(format!("floor/call/pay//pay:{number}"), &[b'x'; receipt::BYTES]).await }
    });
    let steps = [Arc::clone(&ours), Arc::clone(&floor), fused];
    let one = rounds(1, &steps, || server.clear()).await?.medians;
    let many = rounds(MANY, &[ours, floor], || server.clear()).await?.rates;
    Ok(vec![
        Row::compared("first_c1", one.compared(0, 1), "µs", Goal::AtMost(1.10)),
        Row::compared("first_c128", many.compared(0, 1), "ops/s", Goal::AtLeast(0.95)),
        // Against our own first call.
        Row::compared("fused_c1", one.compared(2, 0), "µs", Goal::AtMost(1.15)),
    ])
}

/// Of many keys: duplicates of one key would share an answer, and that is another row.
async fn replays(server: &Server, oncely: &Coordinator, floor: &Floor) -> Result<Vec<Row>> {
    server.clear().await?;
    for number in 0..STORED {
        pay(oncely, number).await?;
        floor.clone().set(&stored(number), &[b'x'; receipt::BYTES]).await?;
        floor.clone().call(record(number), &[b'x'; receipt::BYTES]).await?;
    }
    let shared = oncely.clone();
    let ours = step(move |number| {
        let oncely = shared.clone();
        async move { Ok(pay(&oncely, number % STORED).await.map(drop)?) }
    });
    let shared = floor.clone();
    let get = step(move |number| {
        let floor = shared.clone();
        async move { floor.get(&stored(number % STORED)).await }
    });
    let shared = floor.clone();
    let read = step(move |number| {
        let floor = shared.clone();
        async move { floor.read(&record(number % STORED)).await }
    });
    let cached = peers::cached(&server.url(), STORED).await?;
    let nothing = || async { Ok(()) };
    let one =
        rounds(1, &[Arc::clone(&ours), get, cached, Arc::clone(&read)], nothing).await?.medians;
    let many = rounds(MANY, &[ours, read], nothing).await?.rates;
    Ok(vec![
        Row::compared("replay_c1", one.compared(0, 1), "µs", Goal::AtMost(1.10)),
        Row::compared("replay_c1_cached", one.compared(2, 1), "µs", Goal::None),
        // What a script costs that does nothing but read.
        Row::compared("replay_c1_script", one.compared(3, 1), "µs", Goal::None),
        Row::compared("replay_c128", many.compared(0, 1), "ops/s", Goal::AtLeast(0.90)),
    ])
}

/// Where the bare outcome is.
fn stored(number: u64) -> String {
    format!("floor/stored/pay//pay:{number}")
}

/// Where a record with the outcome is.
fn record(number: u64) -> String {
    format!("floor/call/pay//pay:{number}")
}

/// How many commands a call with both attributes sends.
async fn fused_trips(server: &Server, oncely: &Coordinator) -> Result<Row> {
    const CALLS: u64 = 100;
    let before = server.commands().await?;
    for number in 0..CALLS {
        pay_locked(oncely, u64::MAX - number).await?;
    }
    let trips = (server.commands().await? - before) / CALLS as f64;
    Ok(Row::figure("fused_trips", trips, "round trips", Goal::AtMost(2.0)))
}

/// What the competitors did in all rounds.
struct Loads<const N: usize> {
    rates: Rounds<N>,
    medians: Rounds<N>,
}

/// The competitors take turns, each after `prepare`. The first round warms up and does not count; who
/// begins changes from round to round.
async fn rounds<const N: usize, P>(
    tasks: usize,
    steps: &[Step; N],
    prepare: impl Fn() -> P,
) -> Result<Loads<N>>
where
    P: Future<Output = Result<()>>,
{
    let mut loads = Loads { rates: Rounds::new(), medians: Rounds::new() };
    for round in 0..=ROUNDS {
        let mut found = [Load { rate: 0.0, median: 0.0 }; N];
        for turn in 0..N {
            let place = (turn + round) % N;
            prepare().await?;
            found[place] = load(tasks, TURN, &steps[place]).await?;
            ensure!(found[place].rate > 0.0, "nothing was done");
        }
        if round > 0 {
            loads.rates.add(found.map(|load| load.rate));
            loads.medians.add(found.map(|load| load.median));
        }
    }
    Ok(loads)
}
