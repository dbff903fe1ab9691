//! What a protected call costs where the store costs nothing.
//!
//! Our calls go through the attributes. Their floor renders the same key and does to a sharded map
//! and to the outcome what cannot be left out.

mod floor;

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, ensure};
use oncely::{Coordinator, ReplayCache};

use self::floor::Map;
use crate::calls::{lock, pay};
use crate::measure::{Rounds, nanos_of_one};
use crate::receipt::Receipt;
use crate::table::{Goal, Row};

/// Few enough that all keys stay in the processor's cache, for both sides.
const KEYS: u64 = 1_000;
const ROUNDS: usize = 301;

/// All rows.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let [lock, lock_floor] = lock_rounds().await?;
    let [first, first_floor, replay, replay_floor, cached] = call_rounds().await?;
    let row = |name, pair, most| Row::compared(name, pair, "ns", Goal::AtMost(most));
    Ok(vec![
        row("memory_lock", [lock, lock_floor], 6.0),
        row("memory_first", [first, first_floor], 4.0),
        row("memory_replay", [replay, replay_floor], 3.0),
        row("cached_replay", [cached, replay], 1.2),
    ])
}

/// Lock and release, against insert and remove.
async fn lock_rounds() -> Result<[f64; 2]> {
    let oncely = Coordinator::connect("memory:").await?;
    let (map, token) = (Map::new(), Arc::from([0_u8; 8]));
    let mut failed = 0;
    let mut rounds = Rounds::new();
    for _ in 0..ROUNDS {
        let ours = nanos_of_one(KEYS, async |order| {
            failed += u32::from(black_box(lock(&oncely, order).await).is_err());
        });
        let ours = ours.await;
        let floor = nanos_of_one(KEYS, async |order| {
            let key = format!("order:{order}");
            map.insert(key.clone(), Arc::clone(&token));
            black_box(map.remove(&key));
        });
        rounds.add([ours, floor.await]);
    }
    ensure!(failed == 0, "{failed} locks were refused");
    Ok(rounds.medians())
}

/// First calls and replays, each with its floor, and replays from the cache.
async fn call_rounds() -> Result<[f64; 5]> {
    let mut rounds = Rounds::new();
    let mut failed = 0;
    for _ in 0..ROUNDS {
        // New stores, so that every first call is one.
        let oncely = Coordinator::connect("memory:").await?;
        let caching = Coordinator::builder().replay_cache(ReplayCache::new());
        let caching = caching.connect("memory:").await?;
        let map = Map::new();
        let mut call = async |oncely: &Coordinator, request| {
            failed += u32::from(black_box(pay(oncely, request).await).is_err());
        };
        let first = nanos_of_one(KEYS, async |request| call(&oncely, request).await).await;
        let first_floor = nanos_of_one(KEYS, async |request| {
            let key = format!("pay:{request}");
            let outcome: Arc<[u8]> = encode(&Receipt::new()).into();
            black_box(decode(&outcome));
            map.insert(key.clone(), outcome);
            black_box(map.remove(&key));
        });
        let first_floor = first_floor.await;
        let replay = nanos_of_one(KEYS, async |request| call(&oncely, request).await).await;
        for request in 0..KEYS {
            map.insert(format!("pay:{request}"), encode(&Receipt::new()).into());
            call(&caching, request).await;
        }
        let replay_floor = nanos_of_one(KEYS, async |request| {
            let outcome = map.find(&format!("pay:{request}"));
            black_box(outcome.map(|outcome| decode(&outcome)));
        });
        let replay_floor = replay_floor.await;
        let cached = nanos_of_one(KEYS, async |request| call(&caching, request).await).await;
        rounds.add([first, first_floor, replay, replay_floor, cached]);
    }
    ensure!(failed == 0, "{failed} calls were refused");
    Ok(rounds.medians())
}

fn encode(receipt: &Receipt) -> Vec<u8> {
    serde_json::to_vec(receipt).unwrap_or_default()
}

fn decode(outcome: &[u8]) -> Option<Receipt> {
    serde_json::from_slice(outcome).ok()
}
