//! Keys that nobody else wants: what a call costs, and how many a server serves.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use oncely::Coordinator;

use super::floor::Floor;
use super::peers;
use super::server::Server;
use crate::calls::{lock, pay, pay_locked};
use crate::measure::{Load, Rounds, Step, load, step};
use crate::receipt;
use crate::table::{Goal, Row};

const ROUNDS: usize = 11;
const TURN: Duration = Duration::from_millis(250);
const MANY: usize = 128;
/// How many outcomes there are to replay.
const STORED: u64 = 1_000;

/// All rows.
pub(super) async fn rows(server: &Server) -> Result<Vec<Row>> {
    let oncely = Coordinator::connect(&server.url()).await?;
    let floor = Floor::new(server.connect().await?).await?;
    let mut rows = locks(server, &oncely, &floor).await?;
    rows.extend(first_calls(server, &oncely, &floor).await?);
    rows.extend(replays(server, &oncely, &floor).await?);
    rows.push(fused_trips(server, &oncely).await?);
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
    let [ours, floor, rslock, async_redis_lock] = medians(1, &steps, || server.clear()).await?;
    let one = |name, load: Load, goal| Row::compared(name, [load.median, floor.median], "µs", goal);
    let mut rows = vec![
        one("lock_c1", ours, Goal::AtMost(1.10)),
        one("lock_c1_rslock", rslock, Goal::None),
        one("lock_c1_async_redis_lock", async_redis_lock, Goal::None),
    ];
    let [ours, floor, rslock, async_redis_lock] = medians(MANY, &steps, || server.clear()).await?;
    let many = |name, load: Load, goal| Row::compared(name, [load.rate, floor.rate], "ops/s", goal);
    rows.extend([
        many("lock_c128", ours, Goal::AtLeast(0.95)),
        many("lock_c128_rslock", rslock, Goal::None),
        many("lock_c128_async_redis_lock", async_redis_lock, Goal::None),
    ]);
    Ok(rows)
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
    let loads = medians(1, &steps, || server.clear()).await?;
    let [one, floor_of_one, fused] = loads.map(|load| load.median);
    let loads = medians(MANY, &[ours, floor], || server.clear()).await?;
    let many = loads.map(|load| load.rate);
    Ok(vec![
        Row::compared("first_c1", [one, floor_of_one], "µs", Goal::AtMost(1.10)),
        Row::compared("first_c128", many, "ops/s", Goal::AtLeast(0.95)),
        // Against our own first call.
        Row::compared("fused_c1", [fused, one], "µs", Goal::AtMost(1.15)),
    ])
}

/// Of many keys: duplicates of one key would share an answer, and that is another row.
async fn replays(server: &Server, oncely: &Coordinator, floor: &Floor) -> Result<Vec<Row>> {
    server.clear().await?;
    for number in 0..STORED {
        pay(oncely, number).await?;
        floor.clone().set(&stored(number), &[b'x'; receipt::BYTES]).await?;
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
        async move { floor.read(&stored(number % STORED)).await }
    });
    let cached = peers::cached(&server.url(), STORED).await?;
    let steps = [Arc::clone(&ours), get, cached];
    let [ours_load, get, cached] = medians(1, &steps, || async { Ok(()) }).await?;
    let one = |name, load: Load, goal| Row::compared(name, [load.median, get.median], "µs", goal);
    let mut rows = vec![
        one("replay_c1", ours_load, Goal::AtMost(1.10)),
        one("replay_c1_cached", cached, Goal::None),
    ];
    let [ours, read] = medians(MANY, &[ours, read], || async { Ok(()) }).await?;
    let pair = [ours.rate, read.rate];
    rows.push(Row::compared("replay_c128", pair, "ops/s", Goal::AtLeast(0.90)));
    Ok(rows)
}

fn stored(number: u64) -> String {
    format!("floor/stored/pay//pay:{number}")
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

/// The competitors take turns, each after `prepare`. The first round warms up and does not count; who
/// begins changes from round to round.
async fn medians<const N: usize, P>(
    tasks: usize,
    steps: &[Step; N],
    prepare: impl Fn() -> P,
) -> Result<[Load; N]>
where
    P: Future<Output = Result<()>>,
{
    let (mut rates, mut medians) = (Rounds::new(), Rounds::new());
    for round in 0..=ROUNDS {
        let mut loads = [Load { rate: 0.0, median: 0.0 }; N];
        for turn in 0..N {
            let place = (turn + round) % N;
            prepare().await?;
            loads[place] = load(tasks, TURN, &steps[place]).await?;
            ensure!(loads[place].rate > 0.0, "nothing was done");
        }
        if round > 0 {
            rates.add(loads.map(|load| load.rate));
            medians.add(loads.map(|load| load.median));
        }
    }
    let (rates, medians) = (rates.medians(), medians.medians());
    Ok(std::array::from_fn(|place| Load { rate: rates[place], median: medians[place] }))
}
