//! Keys that are handed from holder to waiter, in the order in which they came.

use std::time::{Duration, Instant};

use oncely::store::redis::RedisStore;
use oncely::store::{BoxFuture, LeaseRequest, RecordState, Store, Update, Updated};
use oncely::{Coordinator, ErrorKind};
use oncely_tests::proxy::Proxy;
use oncely_tests::redis::RedisServer;
use oncely_tests::{ms, soon};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::redis_steps::{calls, complete, every_update, met, open, renew, request, take, update};

const NAME: &str = "key";
/// Far longer than a hand-over takes, and shorter than what is not handed over lasts.
const QUIET: Duration = Duration::from_millis(60);

/// Waits for the key; its place is taken when this returns.
async fn queued<'a>(store: &'a RedisStore, request: &'a LeaseRequest) -> BoxFuture<'a, ()> {
    let called = store.wait(request);
    met(store, NAME).await;
    called
}

async fn is_called(called: &mut BoxFuture<'_, ()>) -> bool {
    timeout(QUIET, called).await.is_ok()
}

fn queues(server: &RedisServer) -> Vec<String> {
    server.ask(&["KEYS", "oncely/queue/*"])
}

/// The place of whoever gave it up is gone when this returns.
async fn nobody_queues(server: &RedisServer) {
    let started = Instant::now();
    while !queues(server).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", queues(server));
        sleep(ms(5)).await;
    }
}

#[tokio::test]
async fn three_connections_get_the_key_in_the_order_in_which_they_came() {
    let server = RedisServer::start();
    let [holder, first, second, third] = [
        open(&server.url()).await,
        open(&server.url()).await,
        open(&server.url()).await,
        open(&server.url()).await,
    ];
    let requests = [request(NAME), request(NAME), request(NAME)];
    let mut lease = take(&holder, &request(NAME)).await;
    let mut places = Vec::new();
    for (store, request) in [&first, &second, &third].into_iter().zip(&requests) {
        places.push((store, request, queued(store, request).await));
    }
    let mut holds = &holder;
    while !places.is_empty() {
        assert!(!is_called(&mut places[0].2).await);
        assert_eq!(update(holds, &lease, Update::Release).await, Updated::Applied);
        let (next, request, called) = places.remove(0);
        soon(called).await;
        // Once nobody waits the next release need not look for anybody.
        let note: String = server.ask(&["GETRANGE", request.key.as_str(), "6", "6"]);
        assert_eq!(note, if places.is_empty() { "-" } else { "w" });
        for (_, _, other) in &mut places {
            assert!(!is_called(other).await);
        }
        // Nobody overtakes.
        let RecordState::InProgress { remaining } = met(&holder, NAME).await.state else {
            panic!()
        };
        assert!(remaining <= ms(250), "{remaining:?}");
        let handed = take(next, request).await;
        assert!(handed.token > lease.token && handed.attempt == 1, "{handed:?} after {lease:?}");
        let RecordState::InProgress { remaining } = met(&holder, NAME).await.state else {
            panic!()
        };
        assert!(remaining > Duration::from_secs(30), "{remaining:?}");
        // What was confirmed stays, and a reply that was lost is given again.
        assert_eq!(take(next, request).await, handed);
        assert_eq!(update(next, &handed, renew()).await, Updated::Applied);
        (holds, lease) = (next, handed);
    }
    assert_eq!(update(holds, &lease, Update::Release).await, Updated::Applied);
    assert_eq!(queues(&server), Vec::<String>::new());
    take(&holder, &request(NAME)).await;
}

#[tokio::test]
async fn a_free_key_is_not_waited_for() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    for what in every_update() {
        if let Update::Complete { .. } = what {
            continue;
        }
        let lease = take(&store, &LeaseRequest::new(request(NAME).key, ms(30))).await;
        let expires = matches!(what, Update::Renew { .. });
        if expires {
            sleep(ms(40)).await;
        } else {
            update(&store, &lease, what).await;
        }
        let next = request(NAME);
        soon(store.wait(&next)).await;
        let lease = take(&store, &next).await;
        soon(store.wait(&next)).await;
        update(&store, &lease, Update::Release).await;
    }
    assert_eq!(queues(&server), Vec::<String>::new());
}

#[tokio::test]
async fn every_end_calls_somebody() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    let [_, ends @ ..] = every_update();
    for end in ends {
        let completes = matches!(end, Update::Complete { .. });
        let lease = take(&holder, &request(NAME)).await;
        let next = request(NAME);
        let called = queued(&waiter, &next).await;
        update(&holder, &lease, end).await;
        soon(called).await;
        if completes {
            assert!(matches!(met(&waiter, NAME).await.state, RecordState::Completed { .. }));
            server.ask::<()>(&["DEL", next.key.as_str()]);
        } else {
            let lease = take(&waiter, &next).await;
            assert_eq!(update(&waiter, &lease, Update::Release).await, Updated::Applied);
        }
    }
}

#[tokio::test]
async fn whoever_lost_the_connection_is_passed_over() {
    let server = RedisServer::start();
    let (holder, living) = (open(&server.url()).await, open(&server.url()).await);
    let proxy = Proxy::to(&server.socket());
    let dead = [open(&proxy.url()).await, open(&proxy.url()).await, open(&proxy.url()).await];
    let lease = take(&holder, &request(NAME)).await;
    let gone = [request(NAME), request(NAME), request(NAME)];
    let mut places = Vec::new();
    for (store, request) in dead.iter().zip(&gone) {
        places.push(queued(store, request).await);
    }
    let next = request(NAME);
    let called = queued(&living, &next).await;
    proxy.cut();
    // They hear of it, and look again: nobody waits for what will not come.
    for place in places {
        soon(place).await;
    }
    update(&holder, &lease, Update::Release).await;
    soon(called).await;
    take(&living, &next).await;
    assert_eq!(queues(&server), Vec::<String>::new());
}

#[tokio::test]
async fn whoever_does_not_come_keeps_the_key_for_a_moment_only() {
    let server = RedisServer::start();
    let (holder, absent) = (open(&server.url()).await, open(&server.url()).await);
    let lease = take(&holder, &request(NAME)).await;
    let never = request(NAME);
    let called = queued(&absent, &never).await;
    update(&holder, &lease, Update::Release).await;
    soon(called).await;
    sleep(ms(260)).await;
    // Nobody was interrupted: the body of the one who did not come has not begun.
    let next = take(&holder, &request(NAME)).await;
    assert!(next.attempt == 1 && next.token > lease.token, "{next:?}");
    assert!(matches!(met(&absent, NAME).await.state, RecordState::InProgress { .. }));
    assert_eq!(update(&holder, &next, Update::Release).await, Updated::Applied);
    // Late is not too late where nobody came meanwhile.
    let lease = take(&holder, &request(NAME)).await;
    let late = request(NAME);
    let called = queued(&absent, &late).await;
    update(&holder, &lease, Update::Release).await;
    soon(called).await;
    sleep(ms(260)).await;
    assert_eq!(take(&absent, &late).await.attempt, 1);
}

#[tokio::test]
async fn a_place_that_is_given_up_is_gone() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    let lease = take(&holder, &request(NAME)).await;
    let (given_up, next) = (request(NAME), request(NAME));
    let place = queued(&waiter, &given_up).await;
    let called = queued(&waiter, &next).await;
    drop(place);
    update(&holder, &lease, Update::Release).await;
    soon(called).await;
    let lease = take(&waiter, &next).await;
    drop(queued(&waiter, &given_up).await);
    nobody_queues(&server).await;
    update(&waiter, &lease, Update::Release).await;
}

#[tokio::test]
async fn a_key_that_comes_when_the_place_is_given_up_goes_to_the_next() {
    let server = RedisServer::start();
    let [holder, leaves, stays] =
        [open(&server.url()).await, open(&server.url()).await, open(&server.url()).await];
    for _ in 0..20 {
        let lease = take(&holder, &request(NAME)).await;
        let (given_up, next) = (request(NAME), request(NAME));
        let place = queued(&leaves, &given_up).await;
        let called = queued(&stays, &next).await;
        let released = Instant::now();
        update(&holder, &lease, Update::Release).await;
        // It is handed over now, and nobody has looked.
        drop(place);
        soon(called).await;
        assert!(released.elapsed() < ms(200), "{:?}", released.elapsed());
        let lease = take(&stays, &next).await;
        update(&stays, &lease, Update::Release).await;
    }
    // The last of all gives it back to nobody.
    let lease = take(&holder, &request(NAME)).await;
    let given_up = request(NAME);
    let place = queued(&leaves, &given_up).await;
    update(&holder, &lease, Update::Release).await;
    drop(place);
    met_nobody(&leaves).await;
    take(&holder, &request(NAME)).await;
}

/// An operation after which all that was sent before is done.
async fn met_nobody(store: &RedisStore) {
    take(store, &request("nobody")).await;
}

#[tokio::test]
async fn a_place_that_is_given_up_late_takes_no_lease_away() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    let lease = take(&holder, &request(NAME)).await;
    let next = request(NAME);
    let place = queued(&waiter, &next).await;
    update(&holder, &lease, Update::Release).await;
    let lease = take(&waiter, &next).await;
    drop(place);
    met_nobody(&waiter).await;
    assert_eq!(met(&holder, NAME).await.token, lease.token);
    assert_eq!(update(&waiter, &lease, complete(b"")).await, Updated::Applied);
}

#[tokio::test]
async fn the_tokens_of_keys_that_are_handed_over_rise_when_everything_else_is_gone() {
    let server = RedisServer::start();
    let (holder, waiter) = (open(&server.url()).await, open(&server.url()).await);
    let lease = take(&holder, &request(NAME)).await;
    let next = request(NAME);
    let called = queued(&waiter, &next).await;
    update(&holder, &lease, Update::Release).await;
    soon(called).await;
    let lease = take(&waiter, &next).await;
    let counted: u64 = server.ask(&["GET", "oncely:last_token"]);
    assert_eq!(counted, lease.token.value());
    server.ask::<()>(&["DEL", next.key.as_str()]);
    assert!(take(&holder, &request(NAME)).await.token > lease.token);
}

#[tokio::test]
async fn nothing_of_whoever_waited_in_vain_stays() {
    let server = RedisServer::start();
    let holder = open(&server.url()).await;
    let key = oncely::store::Key::lock("oncely", "order").unwrap();
    take(&holder, &LeaseRequest::new(key, Duration::from_secs(60))).await;
    let keys = || {
        let mut keys: Vec<String> = server.ask(&["KEYS", "*"]);
        keys.sort();
        keys
    };
    let before = keys();
    let waiter = Coordinator::connect(&server.url()).await.unwrap();
    for wait in [0, 30, 200] {
        let error = waiter.lock("order").wait(ms(wait)).acquire().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LockBusy);
        nobody_queues(&server).await;
        assert_eq!(keys(), before);
    }
    let dropped =
        tokio::spawn(async move { waiter.lock("order").wait(ms(60_000)).acquire().await });
    while queues(&server).is_empty() {
        sleep(ms(1)).await;
    }
    // Should its process die, the server forgets it.
    let left: i64 = server.ask(&["PTTL", "oncely/queue/oncely/lock/order"]);
    assert!((1..=60_000).contains(&left), "{left}");
    dropped.abort();
    nobody_queues(&server).await;
    assert_eq!(keys(), before);
}

#[tokio::test]
async fn a_hand_over_takes_four_commands() {
    const ROUNDS: usize = 50;
    let server = RedisServer::start();
    let stores = [open(&server.url()).await, open(&server.url()).await];
    let mut lease = take(&stores[0], &request(NAME)).await;
    let before = calls(&server, "evalsha");
    for round in 0..ROUNDS {
        let (holder, waiter) = (&stores[round % 2], &stores[(round + 1) % 2]);
        let next = request(NAME);
        assert!(matches!(
            waiter.acquire(std::slice::from_ref(&next)).await.unwrap(),
            oncely::store::Acquired::Occupied(_)
        ));
        let called = waiter.wait(&next);
        while queues(&server).is_empty() {
            tokio::task::yield_now().await;
        }
        update(holder, &lease, Update::Release).await;
        soon(called).await;
        lease = take(waiter, &next).await;
    }
    assert_eq!(calls(&server, "evalsha") - before, 4 * ROUNDS);
    assert_eq!(calls(&server, "subscribe"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_wait_ask_seldom() {
    const PROCESSES: usize = 4;
    const TASKS: usize = 4;
    const ROUNDS: usize = 10;
    let server = RedisServer::start();
    let mut tasks = JoinSet::new();
    for _ in 0..PROCESSES {
        let coordinator = Coordinator::connect(&server.url()).await.unwrap();
        for _ in 0..TASKS {
            let coordinator = coordinator.clone();
            tasks.spawn(async move {
                for _ in 0..ROUNDS {
                    let lock = coordinator.lock("order").wait(Duration::from_secs(60));
                    let guard = lock.acquire().await.unwrap();
                    sleep(ms(1)).await;
                    guard.release().await.unwrap();
                }
            });
        }
    }
    let started = Instant::now();
    soon(tasks.join_all()).await;
    let took = started.elapsed();
    let each = calls(&server, "evalsha") as f64 / (PROCESSES * TASKS * ROUNDS) as f64;
    println!("{each:.1} commands for each of {} in {took:?}", PROCESSES * TASKS * ROUNDS);
    // Those at the head of their line look now and then, too; whoever polls asks all the time.
    assert!(each <= 16.0, "{each} commands for each");
    nobody_queues(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_in_the_queue_and_those_who_want_more_keys_do_not_starve_each_other() {
    let server = RedisServer::start();
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let coordinator = Coordinator::connect(&server.url()).await.unwrap();
        tasks.spawn(async move {
            for _ in 0..40 {
                let lock = coordinator.lock("a").wait(Duration::from_secs(60));
                let guard = lock.acquire().await.unwrap();
                sleep(ms(1)).await;
                guard.release().await.unwrap();
            }
        });
    }
    for _ in 0..2 {
        let coordinator = Coordinator::connect(&server.url()).await.unwrap();
        tasks.spawn(async move {
            for _ in 0..10 {
                let lock = coordinator.lock_all(["a", "b"]).wait(Duration::from_secs(60));
                let guard = lock.acquire().await.unwrap();
                sleep(ms(1)).await;
                guard.release().await.unwrap();
            }
        });
    }
    let started = Instant::now();
    soon(tasks.join_all()).await;
    println!("{:?}", started.elapsed());
    nobody_queues(&server).await;
}
