//! Who waits hears of it, and nobody pays where nobody waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oncely::Coordinator;
use oncely::store::{Store, Update};
use oncely_tests::redis::RedisServer;
use tokio::time::timeout;

use crate::redis_steps::{calls, complete, every_update, key, met, open, request, take, update};

const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn who_was_turned_away_hears_of_every_end() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    let [_, ends @ ..] = every_update();
    for (index, end) in ends.into_iter().enumerate() {
        let name = index.to_string();
        let lease = take(&holder, &request(&name)).await;
        let key = key(&name);
        let mut changed = waiter.changed(&key);
        met(&waiter, &name).await;
        timeout(Duration::from_millis(50), &mut changed).await.expect_err("nothing happened yet");
        update(&holder, &lease, end).await;
        timeout(SOON, changed).await.expect("news");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_lock_enters_when_it_is_given_back() {
    let server = RedisServer::start();
    let holder = Coordinator::connect(&server.url()).await.unwrap();
    let waiter = Coordinator::connect(&server.url()).await.unwrap();
    let mut handoffs = Vec::new();
    for _ in 0..7 {
        let held = holder.lock("order").acquire().await.unwrap();
        let waiter = waiter.clone();
        let waiting = tokio::spawn(async move {
            let guard = waiter.lock("order").wait(Duration::from_secs(10)).acquire().await.unwrap();
            let entered = Instant::now();
            guard.release().await.unwrap();
            entered
        });
        // By now the waiter looks only every 100 ms.
        tokio::time::sleep(Duration::from_millis(350)).await;
        let given_back = Instant::now();
        held.release().await.unwrap();
        handoffs.push(waiting.await.unwrap().saturating_duration_since(given_back));
    }
    handoffs.sort_unstable();
    assert!(handoffs[3] < Duration::from_millis(20), "{handoffs:?}");
}

#[tokio::test]
async fn a_free_key_pays_nothing() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    for round in 0..10 {
        let lease = take(&store, &request("key")).await;
        update(&store, &lease, if round == 9 { complete(b"") } else { Update::Release }).await;
    }
    // A replay turns nobody away.
    met(&store, "key").await;
    assert_eq!(calls(&server, "publish"), 0);
    assert_eq!(calls(&server, "subscribe"), 0);
    assert_eq!(calls(&server, "setrange"), 0);
    assert_eq!(calls(&server, "evalsha"), 21);
    // For a take: the record, the counter, both written. For an end: the record, and written.
    assert_eq!((calls(&server, "get"), calls(&server, "set")), (10 * 3 + 1, 10 * 3));
    // To give back needs no time.
    assert_eq!(calls(&server, "time"), 10 + 1 + 1);

    let lease = take(&store, &request("other")).await;
    for _ in 0..5 {
        met(&store, "other").await;
    }
    update(&store, &lease, Update::Release).await;
    assert_eq!((calls(&server, "setrange"), calls(&server, "publish")), (1, 1));
}

#[tokio::test]
async fn many_waiters_of_many_keys_share_one_connection() {
    let server = RedisServer::start();
    let holder = open(&server.url()).await;
    let waiter = Arc::new(open(&server.url()).await);
    let mut tasks = tokio::task::JoinSet::new();
    let mut leases = Vec::new();
    for index in 0..50 {
        let name = format!("key {index}");
        leases.push(take(&holder, &request(&name)).await);
        for _ in 0..4 {
            let (waiter, name) = (waiter.clone(), name.clone());
            tasks.spawn(async move {
                let key = key(&name);
                let changed = waiter.changed(&key);
                met(&*waiter, &name).await;
                timeout(Duration::from_secs(10), changed).await.expect("news");
            });
        }
    }
    while calls(&server, "subscribe") < 50 {
        tokio::task::yield_now().await;
    }
    let clients: String = server.ask(&["CLIENT", "LIST"]);
    assert!(clients.lines().count() <= 3, "{clients}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let ends: Vec<_> = leases.into_iter().map(|lease| (lease, Update::Release)).collect();
    holder.update(&ends).await.unwrap();
    tasks.join_all().await;
    assert_eq!(calls(&server, "subscribe"), 50);
}

#[tokio::test]
async fn subscriptions_end_when_nobody_has_waited_for_a_while() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let kept = key("kept");
    let kept = store.changed(&kept);
    for index in 0..20 {
        drop(store.changed(&key(&index.to_string())));
    }
    met_nobody(&store).await;
    let subscribed = || server.ask::<Vec<String>>(&["PUBSUB", "CHANNELS"]);
    assert_eq!(subscribed().len(), 21);
    let started = Instant::now();
    while subscribed() != ["oncely:changed:redis/lock/kept"] {
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", subscribed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    drop(kept);
}

/// An operation after which all that was sent before is done.
async fn met_nobody(store: &dyn Store) {
    take(store, &request("nobody")).await;
}
