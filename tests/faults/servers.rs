//! A Redis server that dies, forgets or cannot be heard while calls wait, run and complete.

use std::time::Instant;

use oncely::{Coordinator, Error, ErrorKind, Outcome};
use oncely_tests::proxy::Proxy;
use oncely_tests::redis::RedisServer;
use oncely_tests::{Counter, ms, secs, soon};
use tokio::sync::Notify;
use tokio::time::sleep;

const KEPT: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
const LOST: &[&str] = &["--appendonly", "no"];
const QUEUE: &str = "oncely/queue/oncely/lock/order";

async fn connect(url: &str) -> Coordinator {
    Coordinator::connect(url).await.unwrap()
}

async fn queue_of(server: &RedisServer, length: usize) {
    let started = Instant::now();
    while server.ask::<usize>(&["ZCARD", QUEUE]) != length {
        assert!(started.elapsed() < secs(30), "the queue does not come to {length}");
        sleep(ms(2)).await;
    }
}

#[tokio::test]
async fn a_server_killed_under_a_waiter_is_not_taken_for_busy() {
    for options in [KEPT, LOST] {
        let mut server = RedisServer::with(options);
        let (holder, waiter) = (connect(&server.url()).await, connect(&server.url()).await);
        let held = holder.lock("order").lease(secs(2)).acquire().await.unwrap();
        let token = held.fencing_token();
        let lock = waiter.lock("order").wait(secs(60));
        let waiting = tokio::spawn(async move { lock.acquire().await });
        queue_of(&server, 1).await;
        server.kill();
        let refused = soon(waiting).await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
        server.start_again();
        // Where the record was kept its holder gives it back, else it may be taken.
        drop(held);
        let next = soon(waiter.lock("order").wait(secs(60)).acquire()).await.unwrap();
        assert!(next.fencing_token() > token);
        next.release().await.unwrap();
        assert!(!server.ask::<bool>(&["EXISTS", QUEUE]));
    }
}

#[tokio::test]
async fn a_lock_outlives_a_server_that_keeps_its_records() {
    let mut server = RedisServer::with(KEPT);
    let oncely = connect(&server.url()).await;
    let held = oncely.lock("order").lease(secs(2)).acquire().await.unwrap();
    server.kill();
    sleep(ms(100)).await;
    server.start_again();
    tokio::time::timeout(secs(3), held.lost()).await.expect_err("it is renewed");
    let other = connect(&server.url()).await;
    let busy = other.lock("order").wait(secs(0)).acquire().await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::LockBusy);
    held.release().await.unwrap();
    let next = other.lock("order").wait(secs(0)).acquire().await.unwrap();
    next.release().await.unwrap();
}

#[tokio::test]
async fn a_body_ends_with_the_lock_that_a_server_forgot() {
    let mut server = RedisServer::with(LOST);
    let oncely = connect(&server.url()).await;
    let ran = Counter::default();
    let lock = oncely.lock("order").lease(secs(2));
    let began = Instant::now();
    let running = lock.run(|_| async {
        ran.up();
        sleep(secs(60)).await;
        Ok::<_, Error>(())
    });
    let killing = async {
        sleep(ms(50)).await;
        server.kill();
        server.start_again();
    };
    let (lost, ()) = tokio::join!(soon(running), killing);
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::LeaseLost);
    assert!(began.elapsed() < secs(3), "{:?}", began.elapsed());
    assert_eq!(ran.count(), 1);
}

#[tokio::test]
async fn an_outcome_is_stored_by_a_server_that_was_killed_when_the_body_ended() {
    let mut server = RedisServer::with(KEPT);
    let oncely = connect(&server.url()).await;
    let ran = Counter::default();
    let call = || oncely.idempotent("pay", "42").lease(secs(5));
    let (begun, go_on) = (Notify::new(), Notify::new());
    let paying = call().run(|_| async {
        ran.up();
        begun.notify_one();
        go_on.notified().await;
        Ok::<_, Error>(7)
    });
    let killing = async {
        begun.notified().await;
        server.pause();
        go_on.notify_one();
        // The body is done, its outcome is on its way, and the way ends here.
        sleep(ms(200)).await;
        server.kill();
        sleep(ms(200)).await;
        server.start_again();
    };
    let (paid, ()) = tokio::join!(soon(paying), killing);
    assert_eq!(paid.unwrap(), Outcome::Executed(7));
    let replay = call().run(|_| async { Ok::<_, Error>(8) }).await.unwrap();
    assert_eq!((replay.is_replayed(), replay.into_value(), ran.count()), (true, 7, 1));
}

#[tokio::test]
async fn a_server_that_forgets_its_scripts_hands_keys_over_all_the_same() {
    let server = RedisServer::start();
    let (holder, waiter) = (connect(&server.url()).await, connect(&server.url()).await);
    for _ in 0..3 {
        server.ask::<()>(&["SCRIPT", "FLUSH"]);
        let held = holder.lock("order").acquire().await.unwrap();
        server.ask::<()>(&["SCRIPT", "FLUSH"]);
        let lock = waiter.lock("order").wait(secs(60));
        let waiting = tokio::spawn(async move { lock.acquire().await });
        queue_of(&server, 1).await;
        server.ask::<()>(&["SCRIPT", "FLUSH"]);
        held.release().await.unwrap();
        soon(waiting).await.unwrap().unwrap().release().await.unwrap();
    }
}

#[tokio::test]
async fn a_waiter_whose_connection_was_cut_queues_on_the_next() {
    let server = RedisServer::start();
    let proxy = Proxy::to(&server.socket());
    let (holder, waiter) = (connect(&server.url()).await, connect(&proxy.url()).await);
    let held = holder.lock("order").acquire().await.unwrap();
    let lock = waiter.lock("order").wait(secs(60));
    let waiting = tokio::spawn(async move { (lock.acquire().await.unwrap(), Instant::now()) });
    queue_of(&server, 1).await;
    for _ in 0..3 {
        proxy.cut();
        server.ask::<()>(&["DEL", QUEUE]);
        queue_of(&server, 1).await;
    }
    let released = Instant::now();
    held.release().await.unwrap();
    let (guard, entered) = soon(waiting).await.unwrap();
    assert!(entered.saturating_duration_since(released) < ms(60));
    guard.release().await.unwrap();
}

#[tokio::test]
async fn whoever_waits_for_a_key_that_was_deleted_enters() {
    let server = RedisServer::start();
    let (holder, waiter) = (connect(&server.url()).await, connect(&server.url()).await);
    let held = holder.lock("order").lease(secs(3)).acquire().await.unwrap();
    let token = held.fencing_token();
    let lock = waiter.lock("order").wait(secs(60));
    let waiting = tokio::spawn(async move { (lock.acquire().await.unwrap(), Instant::now()) });
    queue_of(&server, 1).await;
    let deleted = Instant::now();
    server.ask::<()>(&["DEL", "oncely/lock/order"]);
    let (guard, entered) = soon(waiting).await.unwrap();
    // Nobody told it; it looks every 100 ms at least.
    assert!(entered.saturating_duration_since(deleted) < ms(500));
    assert!(guard.fencing_token() > token);
    soon(held.lost()).await;
    queue_of(&server, 0).await;
    guard.release().await.unwrap();
}
