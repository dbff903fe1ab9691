//! Answers that are lost, and connections that are cut.

use std::time::Duration;

use oncely::store::{Store, StoreErrorKind, StoredOutcome, Update, Updated};
use oncely_tests::proxy::Proxy;
use oncely_tests::redis::RedisServer;
use oncely_tests::soon;

use crate::redis_steps::{complete, every_update, key, met, open, outcome, request, take, update};

#[tokio::test]
async fn an_acquire_whose_answer_was_lost_gives_the_same_leases_again() {
    let server = RedisServer::start();
    let proxy = Proxy::to(&server.socket());
    let (store, other) = (open(&proxy.url()).await, open(&server.url()).await);
    let requests = [request("a"), request("b")];
    proxy.lose_next_answer();
    let error = store.acquire(&requests).await.expect_err("its answer was lost");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert_eq!(proxy.lost_answers(), 1);
    let taken = met(&other, "a").await;
    for (request, name) in requests.iter().zip(["a", "b"]) {
        let lease = take(&store, request).await;
        assert_eq!((lease.attempt, lease.token), (1, met(&other, name).await.token));
        assert!(lease.token >= taken.token);
    }
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_stands_when_it_is_sent_again() {
    let server = RedisServer::start();
    let proxy = Proxy::to(&server.socket());
    let (store, other) = (open(&proxy.url()).await, open(&server.url()).await);
    for (index, what) in every_update().into_iter().enumerate() {
        let lease = take(&store, &request(&index.to_string())).await;
        let updates = [(lease.clone(), what.clone())];
        proxy.lose_next_answer();
        let error = store.update(&updates).await.expect_err("its answer was lost");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert_eq!(proxy.lost_answers(), index + 1);
        assert_eq!(store.update(&updates).await.unwrap(), [Updated::Applied], "{what:?}");
    }
    assert_eq!(outcome(met(&other, "1").await), StoredOutcome::Value((*b"outcome").into()));
    take(&other, &request("2")).await;
}

#[tokio::test]
async fn a_cut_connection_is_replaced_and_nobody_waits_for_its_news() {
    let server = RedisServer::start();
    let proxy = Proxy::to(&server.socket());
    let store = open(&proxy.url()).await;
    let lease = take(&store, &request("key")).await;
    let waited_for = key("key");
    for _ in 0..3 {
        let changed = store.changed(&waited_for);
        met(&store, "key").await;
        proxy.cut();
        // Whoever waits looks again, on the next connection.
        tokio::time::timeout(Duration::from_secs(2), changed).await.expect("the cut is noticed");
        assert_eq!(met(&store, "key").await.token, lease.token);
    }
    let changed = store.changed(&waited_for);
    met(&store, "key").await;
    assert_eq!(update(&store, &lease, Update::Release).await, Updated::Applied);
    tokio::time::timeout(Duration::from_secs(2), changed).await.expect("the release is heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_in_the_middle_of_everything_lose_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::to(&server.socket());
    let store = std::sync::Arc::new(open(&proxy.url()).await);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..20 {
                let request = request(&format!("{task} {round}"));
                let lease = loop {
                    match store.acquire(std::slice::from_ref(&request)).await {
                        Ok(oncely::store::Acquired::Leases(leases)) => break leases[0].clone(),
                        Ok(occupied) => panic!("{occupied:?}"),
                        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
                    }
                };
                let done = [(lease, complete(b"outcome"))];
                loop {
                    match store.update(&done).await {
                        Ok(answers) => break assert_eq!(answers, [Updated::Applied]),
                        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
                    }
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    while !tasks.is_empty() {
        tokio::select! {
            done = tasks.join_next() => done.unwrap().unwrap(),
            () = tokio::time::sleep(Duration::from_millis(7)) => proxy.cut(),
        }
    }
}

#[tokio::test]
async fn a_key_that_was_handed_over_is_taken_although_the_answer_was_lost() {
    let server = RedisServer::start();
    let proxy = Proxy::to(&server.socket());
    let (holder, waiter) = (open(&server.url()).await, open(&proxy.url()).await);
    let lease = take(&holder, &request("key")).await;
    let next = request("key");
    let called = waiter.wait(&next);
    met(&waiter, "key").await;
    update(&holder, &lease, Update::Release).await;
    soon(called).await;
    proxy.lose_next_answer();
    let error = waiter.acquire(std::slice::from_ref(&next)).await.expect_err("its answer was lost");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    // It was confirmed, so it is held for the whole lease, and by nobody else.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let held = met(&holder, "key").await;
    let lease = take(&waiter, &next).await;
    assert_eq!((lease.token, lease.attempt), (held.token, 1));
}

#[tokio::test]
async fn a_place_whose_answer_was_lost_is_called_again() {
    let server = RedisServer::start();
    let proxy = Proxy::to(&server.socket());
    let (holder, waiter) = (open(&server.url()).await, open(&proxy.url()).await);
    let lease = take(&holder, &request("key")).await;
    let next = request("key");
    proxy.lose_next_answer();
    // Neither the subscription nor the place is heard of: whoever waits looks again.
    soon(waiter.wait(&next)).await;
    assert_eq!(proxy.lost_answers(), 1);
    met(&waiter, "key").await;
    let called = waiter.wait(&next);
    met(&waiter, "key").await;
    update(&holder, &lease, Update::Release).await;
    soon(called).await;
    take(&waiter, &next).await;
}
