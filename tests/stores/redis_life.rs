//! The life of a Redis store and of its server: restarts, pauses, runtimes that end.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use oncely::store::redis::RedisStore;
use oncely::store::{
    Acquired, BoxFuture, LeaseRequest, Store, StoreError, StoreErrorKind, StoredOutcome, Update,
    Updated,
};
use oncely_tests::redis::RedisServer;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use crate::redis_steps::{
    complete, every_update, met, open, outcome, renew, request, take, update,
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Lets the store's driver see that its connection has ended.
async fn notice() {
    sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn a_server_that_forgets_the_scripts_gets_them_again() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let lease = take(&store, &request("before")).await;
    server.ask::<()>(&["SCRIPT", "FLUSH"]);
    assert_eq!(update(&store, &lease, complete(b"outcome")).await, Updated::Applied);
    server.ask::<()>(&["SCRIPT", "FLUSH"]);
    assert_eq!(outcome(met(&store, "before").await), StoredOutcome::Value((*b"outcome").into()));
    take(&store, &request("after")).await;
}

#[tokio::test]
async fn what_a_killed_server_did_not_keep_is_lost_and_tokens_rise_all_the_same() {
    let mut server = RedisServer::start();
    let store = open(&server.url()).await;
    for round in 0..100 {
        let lease = take(&store, &request("key")).await;
        if round > 1 {
            server.ask::<()>(&["FLUSHALL"]);
        } else {
            server.kill();
            server.start_again();
            notice().await;
        }
        for what in every_update() {
            assert_eq!(update(&store, &lease, what).await, Updated::Lost);
        }
        let next = take(&store, &request("key")).await;
        assert!(next.token > lease.token, "{next:?} came after {lease:?}");
        assert_eq!(update(&store, &next, Update::Release).await, Updated::Applied);
    }
}

#[tokio::test]
async fn what_a_killed_server_kept_is_there_again() {
    let mut server = RedisServer::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = open(&server.url()).await;
    let held = take(&store, &request("held")).await;
    let done = take(&store, &request("done")).await;
    let released = take(&store, &request("released")).await;
    update(&store, &done, complete(b"outcome")).await;
    update(&store, &released, Update::Release).await;
    server.kill();
    server.start_again();
    notice().await;
    assert_eq!(met(&store, "held").await.token, held.token);
    assert_eq!(update(&store, &held, renew()).await, Updated::Applied);
    assert_eq!(update(&store, &released, Update::Release).await, Updated::Applied);
    assert_eq!(outcome(met(&store, "done").await), StoredOutcome::Value((*b"outcome").into()));
    assert!(take(&store, &request("released")).await.token > done.token);
}

#[tokio::test]
async fn a_deleted_key_is_lost() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    for what in every_update() {
        let lease = take(&store, &request("key")).await;
        server.ask::<()>(&["DEL", lease.key.as_str()]);
        assert_eq!(update(&store, &lease, what).await, Updated::Lost);
        let next = take(&store, &request("key")).await;
        assert!(next.token > lease.token);
        update(&store, &next, Update::Release).await;
    }
}

#[tokio::test]
async fn the_answer_to_a_call_that_was_dropped_goes_to_nobody_else() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    for polls in 0..60 {
        let dropped = [request(&format!("dropped/{polls}"))];
        let mut call = store.acquire(&dropped);
        for _ in 0..polls % 3 {
            poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await;
        }
        drop(call);
        // Was it the answer to the other call, these would not be the lease's key and token.
        let lease = take(&store, &request(&format!("next/{polls}"))).await;
        let mut renewal = [(lease.clone(), renew())];
        drop(poll_fn(|context| Poll::Ready(store.update(&renewal).as_mut().poll(context))).await);
        renewal[0].1 = Update::Release;
        assert_eq!(store.update(&renewal).await.unwrap(), [Updated::Applied]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_is_unavailable_in_time_and_then_goes_on() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let lease = take(&store, &request("key")).await;
    server.pause();
    let updates = [(lease.clone(), renew())];
    let requests = [request("other")];
    let started = Instant::now();
    let (updated, acquired) = tokio::join!(store.update(&updates), store.acquire(&requests));
    let took = started.elapsed();
    server.resume();
    assert!(took < Duration::from_millis(2_500), "{took:?}");
    for error in [updated.expect_err("paused"), acquired.map(|_| ()).expect_err("paused")] {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("no answer within 2s"), "{error}");
    }
    // What was sent is done by now or will be, and sent again it is answered as before.
    assert_eq!(update(&store, &lease, renew()).await, Updated::Applied);
    take(&store, &requests[0]).await;
}

#[tokio::test]
async fn a_server_that_is_down_is_unavailable_at_once_and_until_it_is_back() {
    let mut server = RedisServer::start();
    let store = open(&server.url()).await;
    server.kill();
    for _ in 0..3 {
        let started = Instant::now();
        let error = store.acquire(&[request("key")]).await.expect_err("down");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    let error = RedisStore::connect(&server.url()).await.expect_err("down");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    server.start_again();
    take(&store, &request("key")).await;
}

#[test]
fn a_store_outlives_the_runtime_it_was_opened_in() {
    let server = RedisServer::start();
    let first = runtime();
    let store = first.block_on(open(&server.url()));
    let lease = first.block_on(take(&store, &request("key")));
    drop(first);
    for round in 0..3 {
        let next = runtime();
        assert_eq!(next.block_on(update(&store, &lease, renew())), Updated::Applied);
        next.block_on(take(&store, &request(&round.to_string())));
    }
    // Neither a runtime nor a thread of one is here.
    drop(store);
}

#[test]
fn a_runtime_that_stands_still_holds_nobody_up() {
    let server = RedisServer::start();
    let still = runtime();
    let store = still.block_on(open(&server.url()));
    still.block_on(async {
        let requests = [request("given up")];
        let mut acquire = store.acquire(&requests);
        let _ = poll_fn(|context| Poll::Ready(acquire.as_mut().poll(context))).await;
    });
    for round in 0..3 {
        let other = runtime();
        let started = Instant::now();
        let lease = other.block_on(take(&store, &request(&round.to_string())));
        other.block_on(update(&store, &lease, Update::Release));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    still.block_on(take(&store, &request("still there")));
    // One connection for each runtime that lives.
    let clients: String = server.ask(&["CLIENT", "LIST"]);
    assert!(clients.lines().count() <= 3, "{clients}");
}

/// Begins to acquire a key, on its way to a connection, and is then left alone.
async fn left_alone<'a>(
    store: &'a RedisStore,
    requests: &'a [LeaseRequest],
) -> BoxFuture<'a, Result<Acquired, StoreError>> {
    let mut alone = store.acquire(requests);
    let begun = poll_fn(|context| Poll::Ready(alone.as_mut().poll(context))).await;
    assert!(begun.is_pending());
    alone
}

#[tokio::test]
async fn whoever_is_left_alone_while_it_connects_holds_nobody_up() {
    let mut server = RedisServer::start();
    let store = open(&server.url()).await;
    server.kill();
    server.start_again();
    notice().await;
    let requests = [request("left alone")];
    let alone = left_alone(&store, &requests).await;
    let started = Instant::now();
    for round in 0..3 {
        take(&store, &request(&round.to_string())).await;
    }
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    // It shares the connection as soon as it goes on.
    assert!(matches!(alone.await, Ok(Acquired::Leases(_))));
    let clients: String = server.ask(&["CLIENT", "LIST"]);
    assert_eq!(clients.lines().count(), 2, "{clients}");
}

#[test]
fn whoever_is_left_alone_in_a_new_runtime_holds_nobody_up() {
    let server = RedisServer::start();
    let store = runtime().block_on(open(&server.url()));
    runtime().block_on(async {
        let requests = [request("left alone")];
        let _alone = left_alone(&store, &requests).await;
        let started = Instant::now();
        take(&store, &request("another")).await;
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    });
}

#[tokio::test]
async fn all_who_wait_for_a_connection_hear_that_there_is_none() {
    let mut server = RedisServer::start();
    let store = open(&server.url()).await;
    server.kill();
    notice().await;
    let requests = [[request("one")], [request("other")]];
    let [one, other] = requests.each_ref().map(|requests| store.acquire(requests));
    let (one, other) = tokio::join!(one, other);
    for error in [one, other].map(|answer| answer.expect_err("down")) {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    }
    // The next one tries again.
    server.start_again();
    take(&store, &requests[0][0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_while_another_connects_has_all_its_time() {
    let mut server = RedisServer::start();
    let store = open(&server.url()).await;
    server.kill();
    server.start_again();
    notice().await;
    server.pause();
    let requests = [[request("early")], [request("late")]];
    let early = store.acquire(&requests[0]);
    let late = async {
        sleep(Duration::from_millis(1_500)).await;
        store.acquire(&requests[1]).await
    };
    let resumed = async {
        sleep(Duration::from_millis(2_500)).await;
        server.resume();
    };
    let (early, late, ()) = tokio::join!(early, late, resumed);
    assert_eq!(early.expect_err("too late").kind(), StoreErrorKind::Unavailable);
    assert!(matches!(late.expect("in time"), Acquired::Leases(_)));
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let server = RedisServer::start();
    let store = runtime().block_on(open(&server.url()));
    let requests = [request("key")];
    let mut acquire = store.acquire(&requests);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match acquire.as_mut().poll(&mut context) {
        Poll::Ready(Err(error)) => assert!(error.to_string().contains("runtime"), "{error}"),
        other => panic!("{other:?}"),
    }
    let key = requests[0].key.clone();
    let mut changed = store.changed(&key);
    assert!(changed.as_mut().poll(&mut context).is_ready());
}
