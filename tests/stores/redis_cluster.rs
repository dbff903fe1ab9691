//! A cluster: keys in several slots, servers that die, slots that move.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oncely::store::redis::RedisStore;
use oncely::store::{Acquired, LeaseRequest, Store, StoreErrorKind, Update, Updated};
use oncely::{Coordinator, ErrorKind};
use oncely_tests::cluster::{RedisCluster, free_port};
use oncely_tests::redis::RedisServer;
use oncely_tests::tls::Authority;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::redis_steps::{complete, key, met, open, renew, request, take, update};

const PATIENCE: Duration = Duration::from_secs(30);
/// The limit of the store, and what a loaded machine adds.
const IN_TIME: Duration = Duration::from_millis(2_700);

/// For each server a name whose lock it has.
fn one_each(cluster: &RedisCluster) -> [String; 3] {
    [0, 1, 2].map(|index| named_at(cluster, index, ""))
}

fn named_at(cluster: &RedisCluster, index: usize, prefix: &str) -> String {
    let mut names = (0..).map(|number| format!("{prefix}{number}"));
    names.find(|name| cluster.owner(key(name).as_str()) == index).unwrap()
}

fn named_at_live(cluster: &RedisCluster, prefix: &str) -> String {
    named_at(cluster, prefix.len() % 2, prefix)
}

/// A name in braces puts all keys with it in one slot.
fn tag_at(cluster: &RedisCluster, index: usize) -> String {
    let mut tags = (0..).map(|number| number.to_string());
    tags.find(|tag| cluster.owner(tag) == index).unwrap()
}

/// One that names its keys as the steps do.
async fn coordinator(url: &str) -> Coordinator {
    Coordinator::builder().namespace("redis").connect(url).await.unwrap()
}

/// Whether the key can be had; if so, it is given back.
async fn is_free(store: &dyn Store, name: &str) -> bool {
    match store.acquire(&[request(name)]).await.unwrap() {
        Acquired::Occupied(_) => false,
        Acquired::Leases(leases) => {
            assert_eq!(leases[0].attempt, 1, "{name} was left half-way");
            update(store, &leases[0], Update::Release).await == Updated::Applied
        }
    }
}

async fn refused_in_time(store: &dyn Store, requests: &[LeaseRequest]) {
    let started = Instant::now();
    let error = store.acquire(requests).await.expect_err("its server is gone");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_several_slots_are_had_by_one_at_a_time_in_whatever_order() {
    let cluster = RedisCluster::start();
    let names = one_each(&cluster);
    let inside = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for index in 0..12 {
        let store = open(&cluster.url_from(index % 3)).await;
        let (inside, mut names) = (Arc::clone(&inside), names.clone());
        names.rotate_left(index % 3);
        if index % 2 == 0 {
            names.reverse();
        }
        tasks.spawn(async move {
            for _ in 0..8 {
                let requests = names.each_ref().map(|name| request(name));
                let leases = loop {
                    match store.acquire(&requests).await.unwrap() {
                        Acquired::Leases(leases) => break leases,
                        Acquired::Occupied(_) => sleep(Duration::from_millis(1)).await,
                    }
                };
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two held the same keys");
                assert!(leases.iter().all(|lease| lease.attempt == 1), "{leases:?}");
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                let updates = leases.into_iter().map(|lease| (lease, Update::Release));
                let answers = store.update(&updates.collect::<Vec<_>>()).await.unwrap();
                assert_eq!(answers, [Updated::Applied; 3]);
            }
        });
    }
    let all = async { while tasks.join_next().await.transpose().unwrap().is_some() {} };
    timeout(PATIENCE, all).await.expect("nobody waits for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_takes_its_slots_along_and_no_others() {
    let cluster = RedisCluster::start();
    let names = one_each(&cluster);
    let store = open(&cluster.url()).await;
    let oncely = coordinator(&cluster.url()).await;
    let short = Duration::from_secs(2);
    let mut guards = Vec::new();
    for name in &names {
        guards.push(oncely.lock(name).lease(short).acquire().await.unwrap());
    }
    cluster.kill(1);
    for _ in 0..2 {
        refused_in_time(&store, &[request(&names[1])]).await;
        let refused = oncely.lock(&names[1]).wait(Duration::ZERO).acquire().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable, "{refused}");
    }
    // Of keys of both, none is taken.
    let [other, another] = [0, 2].map(|index| named_at(&cluster, index, "other "));
    refused_in_time(&store, &[request(&other), request(&names[1]), request(&another)]).await;
    assert!(is_free(&store, &other).await && is_free(&store, &another).await);
    // All leases are renewed in one batch; those of the others are kept.
    timeout(short * 3, guards[1].lost()).await.expect("nobody renews it");
    sleep(short).await;
    for index in [0, 2] {
        assert!(guards[index].remaining() > Duration::ZERO, "{} was lost", names[index]);
        assert_eq!(met(&store, &names[index]).await.token.value(), guards[index].fencing_token());
    }
    // Whoever opens the store now gets what is there, also if the URL names the dead one.
    let late = open(&format!("{},127.0.0.1:{}", cluster.url_from(1), cluster.port(0))).await;
    take(&late, &request(&other)).await;
    refused_in_time(&late, &[request(&names[1])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_holds_up_its_own_slots_only() {
    let cluster = RedisCluster::start();
    let names = one_each(&cluster);
    let store = Arc::new(open(&cluster.url()).await);
    let held = take(&*store, &request(&names[1])).await;
    let (call, lock) = (names[2].clone(), names[1].clone());
    let call = take(&*store, &request(&call)).await;
    cluster.pause(2);
    let stuck = tokio::spawn({
        let (store, name) = (Arc::clone(&store), names[2].clone());
        async move { refused_in_time(&*store, &[request(&format!("{name} ")), request(&name)]).await }
    });
    // Meanwhile the others answer at once, also while the way to the slots is looked for again.
    for round in 0..40 {
        let started = Instant::now();
        let name = named_at_live(&cluster, &format!("live {round} "));
        let lease = take(&*store, &request(&name)).await;
        assert_eq!(update(&*store, &lease, Update::Release).await, Updated::Applied);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    stuck.await.unwrap();
    // A lock is not given back before the outcome beside it is stored.
    let both = [(held.clone(), Update::Release), (call.clone(), complete(b"outcome"))];
    let error = store.update(&both).await.expect_err("one server stands still");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert_eq!(met(&*store, &lock).await.token, held.token);
    // What is renewed beside it is known all the same.
    let both = [(call.clone(), renew()), (held.clone(), renew())];
    let error = store.update(&both).await.expect_err("one server stands still");
    assert_eq!(error.answers(), [None, Some(Updated::Applied)]);
    cluster.resume(2);
    let both = [(held, Update::Release), (call, complete(b"outcome"))];
    let answers = async {
        loop {
            match store.update(&both).await {
                Ok(answers) => return answers,
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let answers = timeout(PATIENCE, answers).await.expect("it goes on");
    assert_eq!(answers, [Updated::Applied; 2]);
    assert!(is_free(&*store, &lock).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_is_served_on_its_way_and_afterwards() {
    let cluster = RedisCluster::start();
    let (store, late) = (open(&cluster.url()).await, open(&cluster.url()).await);
    let name = format!("{{{}}} a", tag_at(&cluster, 0));
    let sibling = name.replace(" a", " b");
    let slot = cluster.slot(key(&name).as_str());
    let held = take(&store, &request(&name)).await;
    let waited_for = key(&name);
    let changed = late.changed(&waited_for);
    cluster.begin_move(slot, 0, 2);
    // The keys are there already, and the slot is not.
    for store in [&store, &late] {
        assert_eq!(update(store, &held, renew()).await, Updated::Applied);
        assert_eq!(met(store, &name).await.token, held.token);
    }
    // A key that is in neither place waits until the slot has arrived.
    let requests = [request(&sibling)];
    let waiting = store.acquire(&requests);
    let moving = async {
        sleep(Duration::from_millis(300)).await;
        cluster.end_move(slot, 2);
    };
    let (acquired, ()) = tokio::join!(waiting, moving);
    let Acquired::Leases(leases) = acquired.unwrap() else { panic!("it was free") };
    assert!(leases[0].token > held.token, "{leases:?} came after {held:?}");
    // Servers pass news on to each other, so whoever listened at the old place hears of it.
    assert_eq!(update(&store, &held, Update::Release).await, Updated::Applied);
    timeout(Duration::from_secs(2), changed).await.expect("news");
    for store in [&late, &open(&cluster.url_from(1)).await] {
        let next = take(store, &request(&name)).await;
        assert!(next.token > leases[0].token, "{next:?} came after {leases:?}");
        assert_eq!(update(store, &next, Update::Release).await, Updated::Applied);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_is_found_and_tokens_rise() {
    let mut cluster = RedisCluster::start();
    cluster.add_replica(0);
    let names = one_each(&cluster);
    let store = open(&cluster.url_from(1)).await;
    let held = take(&store, &request(&names[0])).await;
    assert_eq!(update(&store, &held, Update::Release).await, Updated::Applied);
    cluster.kill(0);
    let wished = request(&names[0]);
    let taken = async {
        loop {
            match store.acquire(std::slice::from_ref(&wished)).await {
                Ok(Acquired::Leases(mut leases)) => return leases.remove(0),
                Ok(Acquired::Occupied(occupant)) => panic!("{occupant:?}"),
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}"),
            }
            assert!(is_free(&store, &names[1]).await);
            sleep(Duration::from_millis(50)).await;
        }
    };
    let next = timeout(PATIENCE, taken).await.expect("the replica takes over");
    assert!(next.token > held.token, "{next:?} came after {held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_dropped_on_its_way_to_several_slots_holds_nothing() {
    let cluster = RedisCluster::start();
    let names = one_each(&cluster);
    let store = open(&cluster.url()).await;
    let oncely = coordinator(&cluster.url()).await;
    for micros in (0..3_000).step_by(100) {
        let all = oncely.lock_all(names.each_ref().map(String::as_str)).acquire();
        // Whichever is first; a guard that was got after all is given back by its drop.
        let _ = timeout(Duration::from_micros(micros), all).await;
        let started = Instant::now();
        for name in &names {
            while !is_free(&store, name).await {
                assert!(started.elapsed() < Duration::from_secs(5), "{name} is still held");
                sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

#[tokio::test]
async fn whoever_is_refused_gives_back_what_a_lost_answer_left_with_it() {
    let cluster = RedisCluster::start();
    let [first, second, third] = one_each(&cluster);
    let store = open(&cluster.url()).await;
    let all = [&first, &second, &third].map(|name| request(name));
    // Two servers have done what they were asked to, and nobody has heard of it.
    take(&store, &all[1]).await;
    let brief = LeaseRequest::new(all[2].key.clone(), Duration::from_millis(1));
    take(&store, &brief).await;
    sleep(Duration::from_millis(5)).await;
    assert_eq!(take(&store, &all[2]).await.attempt, 2);
    take(&store, &request(&first)).await;
    let Acquired::Occupied(met) = store.acquire(&all).await.unwrap() else { panic!("occupied") };
    assert_eq!(met.key, key(&first));
    assert!(is_free(&store, &second).await);
    // What was taken over half-way is left half-way.
    assert_eq!(take(&store, &request(&third)).await.attempt, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_keys_of_several_slots_hears_of_their_release() {
    let cluster = RedisCluster::start();
    let names = one_each(&cluster);
    let (holder, waiter) = (open(&cluster.url()).await, open(&cluster.url()).await);
    for name in &names {
        let lease = take(&holder, &request(name)).await;
        let waited_for = key(name);
        // The first look opens the connection.
        let all = names.each_ref().map(|name| request(name));
        let Acquired::Occupied(met) = waiter.acquire(&all).await.unwrap() else { panic!("held") };
        assert_eq!(met.key, waited_for);
        let changed = waiter.changed(&waited_for);
        waiter.acquire(&all).await.unwrap();
        assert_eq!(update(&holder, &lease, complete(b"")).await, Updated::Applied);
        timeout(Duration::from_secs(2), changed).await.expect("news");
        cluster.clear();
    }
}

#[tokio::test]
async fn servers_that_forget_the_scripts_get_them_again() {
    let cluster = RedisCluster::start();
    let names = one_each(&cluster);
    let store = open(&cluster.url()).await;
    let requests = names.each_ref().map(|name| request(name));
    for _ in 0..2 {
        (0..3).for_each(|index| cluster.ask::<()>(index, &["SCRIPT", "FLUSH"]));
        let Acquired::Leases(leases) = store.acquire(&requests).await.unwrap() else {
            panic!("free, or our own")
        };
        assert_eq!(leases.len(), 3);
    }
}

#[tokio::test]
async fn a_user_with_the_documented_rights_does_everything() {
    let cluster = RedisCluster::start();
    let names = one_each(&cluster);
    for index in 0..3 {
        let mut rule = vec!["ACL", "SETUSER", "limited", "reset", "on", ">secret", "~redis/*"];
        rule.extend([
            "~oncely:last_token*",
            "&oncely:changed:*",
            "+evalsha",
            "+eval",
            "+script|load",
        ]);
        rule.extend(["+time", "+get", "+set", "+setrange", "+publish", "+subscribe"]);
        rule.extend(["+unsubscribe", "+info", "+cluster|slots", "+asking"]);
        cluster.ask::<()>(index, &rule);
    }
    let url = cluster.url().replace("//", "//limited:secret@");
    let store = open(&url).await;
    assert!(!format!("{store:?}").contains("secret"), "{store:?}");
    let requests = names.each_ref().map(|name| request(name));
    let Acquired::Leases(leases) = store.acquire(&requests).await.unwrap() else { panic!("free") };
    let (slot, name) = (cluster.slot(leases[0].key.as_str()), key(&names[0]));
    let changed = store.changed(&name);
    met(&store, &names[0]).await;
    cluster.begin_move(slot, 0, 1);
    assert_eq!(update(&store, &leases[0], Update::Release).await, Updated::Applied);
    timeout(Duration::from_secs(2), changed).await.expect("news");
    cluster.end_move(slot, 1);
}

#[tokio::test]
async fn one_server_and_a_cluster_are_not_taken_for_each_other() {
    let cluster = RedisCluster::start();
    let error = RedisStore::connect(&cluster.node_url(0)).await.expect_err("part of a cluster");
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("write `redis+cluster://HOST:PORT`"), "{error}");
    let port = free_port().to_string();
    let _alone = RedisServer::with(&["--bind", "127.0.0.1", "--port", &port]);
    let url = format!("redis+cluster://127.0.0.1:{port}");
    let error = RedisStore::connect(&url).await.expect_err("no cluster");
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("write `redis://HOST:PORT`"), "{error}");
    let error = RedisStore::connect("redis+cluster://127.0.0.1:1").await.expect_err("nobody");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_cluster_is_reached_with_tls() {
    let authority = Authority::new();
    let cluster = RedisCluster::start_with_tls(&authority);
    let names = one_each(&cluster);
    let store = open(&cluster.tls_url(&authority)).await;
    let requests = names.each_ref().map(|name| request(name));
    let Acquired::Leases(leases) = store.acquire(&requests).await.unwrap() else { panic!("free") };
    assert_eq!(leases.len(), 3);
    let stranger = Authority::new();
    let error = RedisStore::connect(&cluster.tls_url(&stranger)).await.expect_err("a stranger");
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
}
