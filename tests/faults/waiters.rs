//! Processes that die or stand still while they wait for a key, or while others wait for theirs.

use std::time::{Duration, Instant};

use oncely::{Coordinator, LockGuard};
use oncely_tests::redis::RedisServer;
use oncely_tests::{ms, secs, soon};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::child::{Child, Folder};

const QUEUE: &str = "oncely/queue/oncely/lock/order";

async fn connect(server: &RedisServer) -> Coordinator {
    Coordinator::connect(&server.url()).await.unwrap()
}

async fn hold(oncely: &Coordinator) -> LockGuard {
    oncely.lock("order").lease(secs(5)).wait(secs(0)).acquire().await.unwrap()
}

/// A task that waits, and says when it entered.
fn wait(oncely: &Coordinator) -> JoinHandle<(LockGuard, Instant)> {
    let lock = oncely.lock("order").wait(secs(60));
    tokio::spawn(async move { (lock.acquire().await.unwrap(), Instant::now()) })
}

async fn queue_of(server: &RedisServer, length: usize) {
    let started = Instant::now();
    while server.ask::<usize>(&["ZCARD", QUEUE]) < length {
        assert!(started.elapsed() < secs(30), "the queue does not grow to {length}");
        sleep(ms(2)).await;
    }
}

/// The first of a queue is a process of its own, the next is one of ours; how long it took from the
/// release until ours was in, when `fate` met the first.
async fn second_enters(fate: impl AsyncFnOnce(Child) -> Option<Child>) -> Duration {
    let server = RedisServer::start();
    let folder = Folder::new();
    let (holder, next) = (connect(&server).await, connect(&server).await);
    let held = hold(&holder).await;
    let before = held.fencing_token();
    let first = Child::play("waits_in_line", &server.url(), &folder);
    queue_of(&server, 1).await;
    let entering = wait(&next);
    queue_of(&server, 2).await;
    let first = fate(first).await;
    let released = Instant::now();
    held.release().await.unwrap();
    let (guard, entered) = soon(entering).await.unwrap();
    assert!(guard.fencing_token() > before);
    // Whoever stood still goes on, and has its turn.
    if let Some(mut first) = first {
        first.go_on().await;
        queue_of(&server, 1).await;
        let token = guard.fencing_token();
        guard.release().await.unwrap();
        assert!(first.hears().await.unwrap().parse::<u64>().unwrap() > token);
        std::fs::write(folder.path().join("finish"), "").unwrap();
        assert!(first.ends().await.success());
    }
    entered.saturating_duration_since(released)
}

#[tokio::test]
async fn a_waiter_that_was_killed_holds_nobody_up() {
    let took = second_enters(async |first: Child| {
        first.kill().await;
        // The server sees its connection end.
        sleep(ms(50)).await;
        None
    });
    let took = took.await;
    assert!(took < ms(150), "{took:?}");
}

#[tokio::test]
async fn a_waiter_that_stands_still_holds_the_others_up_for_a_moment() {
    let took = second_enters(async |first: Child| {
        first.pause().await;
        Some(first)
    });
    let took = took.await;
    // Its key is kept for 250 ms, and the next looks then.
    assert!((ms(200)..ms(400)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn those_who_wait_for_a_holder_that_was_killed_enter_one_after_the_other() {
    let server = RedisServer::start();
    let folder = Folder::new();
    let mut holder = Child::play("waits_in_line", &server.url(), &folder);
    let mut token: u64 = holder.hears().await.unwrap().parse().unwrap();
    let mut waiting = JoinSet::new();
    for index in 1..=3 {
        let oncely = connect(&server).await;
        waiting.spawn(async move { wait(&oncely).await.unwrap() });
        queue_of(&server, index).await;
    }
    holder.kill().await;
    let started = Instant::now();
    while let Some(entered) = soon(waiting.join_next()).await {
        let (guard, _) = entered.unwrap();
        assert!(guard.fencing_token() > std::mem::replace(&mut token, guard.fencing_token()));
        guard.release().await.unwrap();
    }
    // One second of lease, and none for those behind the first.
    assert!(started.elapsed() < secs(4), "{:?}", started.elapsed());
    assert!(!server.ask::<bool>(&["EXISTS", QUEUE]));
}
