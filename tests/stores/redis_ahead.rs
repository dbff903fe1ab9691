//! Keys that are asked for where their call is heard, before whoever waits has woken.

use std::slice;
use std::time::{Duration, Instant};

use oncely::Coordinator;
use oncely::store::redis::RedisStore;
use oncely::store::{Acquired, Asked, BoxFuture, Lease, LeaseRequest, Store, Update, Updated};
use oncely_tests::proxy::Proxy;
use oncely_tests::redis::RedisServer;
use oncely_tests::{ms, soon};
use tokio::time::{sleep, timeout};

use crate::redis_steps::{calls, met, open, renew, request, take, update};

const NAME: &str = "key";

/// Waits for the key, in the queue and listening, when this returns.
async fn listening<'a>(
    store: &'a RedisStore,
    request: &'a LeaseRequest,
) -> BoxFuture<'a, Option<Asked>> {
    let mut called = store.wait_and_ask(request);
    for _ in 0..2 {
        assert!(timeout(ms(1), &mut called).await.is_err());
    }
    met(store, NAME).await;
    called
}

/// Resolves when the server has the key for this attempt, confirmed.
async fn taken_by(server: &RedisServer, request: &LeaseRequest) {
    let started = Instant::now();
    let id = request.attempt_id;
    loop {
        let record: Vec<u8> = server.ask(&["GET", request.key.as_str()]);
        if record.starts_with(b"1 p ") && record.ends_with(id.as_bytes()) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{record:?}");
        sleep(ms(1)).await;
    }
}

/// Has the key asked for on behalf of `next`, who listens and does not hear of it as long as nobody
/// polls what this gives.
async fn asked_for<'a>(
    server: &RedisServer,
    holder: &RedisStore,
    waiter: &'a RedisStore,
    next: &'a LeaseRequest,
) -> BoxFuture<'a, Option<Asked>> {
    let lease = take(holder, &request(NAME)).await;
    let called = listening(waiter, next).await;
    update(holder, &lease, Update::Release).await;
    taken_by(server, next).await;
    called
}

/// Makes the store give its connection up, which goes on for some seconds.
async fn lose_patience(server: &RedisServer, store: &RedisStore) {
    server.pause();
    let refused = store.acquire(&[request("another")]).await;
    server.resume();
    assert!(refused.expect_err("no answer").to_string().contains("no answer within 2s"));
}

async fn granted(asked: Asked) -> Lease {
    match asked.answer.await.unwrap() {
        Acquired::Leases(mut leases) => leases.pop().unwrap(),
        Acquired::Occupied(occupant) => panic!("{occupant:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_called_has_the_key_before_it_asks() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    let lease = take(&holder, &request(NAME)).await;
    let next = request(NAME);
    let called = listening(&waiter, &next).await;
    // Nobody polls the wait by now.
    let before = calls(&server, "evalsha");
    update(&holder, &lease, Update::Release).await;
    taken_by(&server, &next).await;
    let late = tokio::time::Instant::now();
    let asked = soon(called).await.expect("it was asked for");
    // The lease counts from when it was asked for, not from when somebody woke.
    assert!(asked.since < late);
    let handed = granted(asked).await;
    assert_eq!(calls(&server, "evalsha") - before, 2);
    assert!(handed.token > lease.token && handed.attempt == 1, "{handed:?}");
    assert_eq!(update(&waiter, &handed, renew()).await, Updated::Applied);
    assert_eq!(update(&waiter, &handed, Update::Release).await, Updated::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_somebody_who_gave_up_is_given_back() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    for _ in 0..20 {
        let next = request(NAME);
        let called = asked_for(&server, &holder, &waiter, &next).await;
        drop(called);
        // The lease would last for far longer.
        let started = Instant::now();
        let after = request(NAME);
        let lease = loop {
            match holder.acquire(slice::from_ref(&after)).await.unwrap() {
                Acquired::Leases(mut leases) => break leases.pop().unwrap(),
                Acquired::Occupied(_) => sleep(ms(1)).await,
            }
            assert!(started.elapsed() < Duration::from_secs(5), "it was not given back");
        };
        assert_eq!(update(&holder, &lease, Update::Release).await, Updated::Applied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_again_keeps_what_was_asked_for() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    for _ in 0..20 {
        let next = request(NAME);
        let called = asked_for(&server, &holder, &waiter, &next).await;
        // As a caller does whose time to look has come before it heard of anything.
        let handed = take(&waiter, &next).await;
        drop(called);
        met(&holder, NAME).await;
        sleep(ms(5)).await;
        assert_eq!(update(&waiter, &handed, renew()).await, Updated::Applied);
        assert_eq!(update(&waiter, &handed, Update::Release).await, Updated::Applied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_again_on_another_connection_keeps_what_was_asked_for() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    let next = request(NAME);
    let called = asked_for(&server, &holder, &waiter, &next).await;
    lose_patience(&server, &waiter).await;
    // As a caller does whose time to look came just before.
    let handed = take(&waiter, &next).await;
    drop(called);
    sleep(ms(20)).await;
    assert_eq!(update(&waiter, &handed, renew()).await, Updated::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_connection_that_was_given_up_nothing_is_asked_for() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    let lease = take(&holder, &request(NAME)).await;
    let next = request(NAME);
    let called = listening(&waiter, &next).await;
    lose_patience(&server, &waiter).await;
    update(&holder, &lease, Update::Release).await;
    sleep(ms(50)).await;
    let record: Vec<u8> = server.ask(&["GET", next.key.as_str()]);
    assert!(record.starts_with(b"1 g "), "{}", record.escape_ascii());
    let handed = take(&waiter, &next).await;
    drop(called);
    sleep(ms(20)).await;
    assert_eq!(update(&waiter, &handed, renew()).await, Updated::Applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_handed_over_is_held_although_its_answer_was_lost() {
    let server = RedisServer::start();
    let proxy = Proxy::to(&server.socket());
    let one = Coordinator::connect(&server.url()).await.unwrap();
    let other = Coordinator::connect(&proxy.url()).await.unwrap();
    // Both have a connection, and one of them is in the queue.
    other.lock("another").acquire().await.unwrap().release().await.unwrap();
    let held = one.lock(NAME).acquire().await.unwrap();
    let token = held.fencing_token();
    let waiter = tokio::spawn(async move {
        let lock = other.lock(NAME).wait(Duration::from_secs(10));
        lock.run(|call| async move {
            Ok::<_, oncely::Error>((call.fencing_token(), call.attempt(), call.remaining()))
        })
        .await
    });
    let started = Instant::now();
    while server.ask::<usize>(&["ZCARD", "oncely/queue/oncely/lock/key"]) == 0 {
        assert!(started.elapsed() < Duration::from_secs(5), "nobody queues");
        sleep(ms(1)).await;
    }
    sleep(ms(2)).await;
    // The call is heard; what the server says to the question behind it is not.
    proxy.lose_answer_behind(1);
    held.release().await.unwrap();
    let (next, attempt, remaining) = soon(waiter).await.unwrap().unwrap();
    assert_eq!(proxy.lost_answers(), 1);
    // It asked again, and had what it had been given.
    assert!(next > token && attempt == 1, "{next} after {token}, attempt {attempt}");
    assert!(remaining > Duration::from_secs(20), "{remaining:?}");
    assert!(one.lock(NAME).acquire().await.unwrap().fencing_token() > next);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_handed_over_is_confirmed_once() {
    let server = RedisServer::start();
    let one = Coordinator::connect(&server.url()).await.unwrap();
    let other = Coordinator::connect(&server.url()).await.unwrap();
    let mut fewest = usize::MAX;
    for _ in 0..20 {
        let held = one.lock(NAME).acquire().await.unwrap();
        let before = calls(&server, "evalsha");
        let waiting = other.clone();
        let waiter = tokio::spawn(async move {
            let lock = waiting.lock(NAME).wait(Duration::from_secs(10));
            lock.run(|call| async move { Ok::<_, oncely::Error>(call.fencing_token()) }).await
        });
        sleep(ms(8)).await;
        let token = held.fencing_token();
        held.release().await.unwrap();
        assert!(soon(waiter).await.unwrap().unwrap() > token);
        fewest = fewest.min(calls(&server, "evalsha") - before);
    }
    // A try, a place in the queue, the release, what was asked for at the call, and its release; a
    // machine that does something else may make a waiter look once more.
    assert_eq!(fewest, 5);
}
