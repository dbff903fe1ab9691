//! What stands in the server: what others may read of it, for how long, and what is no record.

use std::time::Duration;

use oncely::store::{
    Acquired, Fingerprint, Lease, LeaseRequest, OnInterrupted, RecordState, Store, StoreErrorKind,
    StoredOutcome, Update, Updated,
};
use oncely_tests::redis::RedisServer;

use crate::redis_steps::{LONG, complete, every_update, key, met, open, outcome, renew, request};
use crate::redis_steps::{take, update};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

#[tokio::test]
async fn a_record_can_be_read_as_it_is_documented() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let fingerprint = Fingerprint::of("arguments").unwrap();
    let request = request("key").with_fingerprint(fingerprint);
    let read = || server.ask::<Vec<u8>>(&["GET", "redis/lock/key"]);
    let words = |bytes: &[u8]| -> Vec<String> {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap();
        String::from_utf8(line.to_vec()).unwrap().split(' ').map(str::to_owned).collect()
    };

    let lease = take(&store, &request).await;
    let bytes = read();
    let token = lease.token.value().to_string();
    let [version, state, choice, note, print, shown, until, since, attempt] = &words(&bytes)[..]
    else {
        panic!("{bytes:?}")
    };
    assert_eq!([version, state, choice, attempt, note, print], ["1", "p", "r", "1", "-", "f"]);
    assert_eq!(*shown, token);
    let [until, since] = [until, since].map(|time| time.parse::<u64>().unwrap());
    assert_eq!(until - since, 60_000);
    assert!(bytes.ends_with(&fingerprint.to_bytes()));
    assert_eq!(server.ask::<String>(&["GET", "oncely:last_token"]), token);

    met(&store, "key").await;
    assert_eq!(words(&read())[3], "w");
    update(&store, &lease, complete(b"{\"an\": \"outcome\"}")).await;
    assert_eq!(words(&read())[1], "c");
    assert!(read().ends_with(b"{\"an\": \"outcome\"}"));
}

#[tokio::test]
async fn records_live_as_long_as_somebody_may_need_them() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let left = |name: &str| server.ask::<i64>(&["PTTL", key(name).as_str()]);
    let about = |left: i64, expected: i64| (expected - 5_000..=expected + 1_000).contains(&left);
    let names = ["renewed", "completed", "released", "interrupted"];
    for (name, what) in names.into_iter().zip(every_update()) {
        let lease = take(&store, &request(name)).await;
        assert!(about(left(name), DAY + MINUTE), "{}", left(name));
        met(&store, name).await;
        assert!(about(left(name), DAY + MINUTE), "{}", left(name));
        update(&store, &lease, what).await;
    }
    for (name, expected) in names.into_iter().zip([DAY + MINUTE, MINUTE, MINUTE, DAY]) {
        assert!(about(left(name), expected), "{name}: {}", left(name));
    }
    for (name, what) in names.into_iter().zip(every_update()) {
        let name = format!("held {name}");
        let held = request(&name).with_on_interrupted(OnInterrupted::Hold);
        let lease = take(&store, &held).await;
        assert_eq!(left(&name), -1);
        update(&store, &lease, what.clone()).await;
        let ends = matches!(what, Update::Complete { .. } | Update::Release);
        assert_eq!(left(&name) >= 0, ends, "{name}: {}", left(&name));
    }
    // The longest and the shortest of all.
    for length in [Duration::MAX, Duration::ZERO] {
        let request = LeaseRequest::new(key(&format!("{length:?}")), length);
        let lease = take(&store, &request).await;
        assert_eq!(update(&store, &lease, Update::Renew { lease: length }).await, Updated::Applied);
        let kept = Update::Complete { outcome: StoredOutcome::Absent, retention: length };
        assert_eq!(update(&store, &lease, kept).await, Updated::Applied);
    }
    let longest = met(&store, &format!("{:?}", Duration::MAX)).await;
    assert_eq!(outcome(longest), StoredOutcome::Absent);
    take(&store, &request(&format!("{:?}", Duration::ZERO))).await;
}

#[tokio::test]
async fn what_is_no_record_is_corrupt_and_stays_as_it_is() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let lease = take(&store, &request("real")).await;
    let real: Vec<u8> = server.ask(&["GET", lease.key.as_str()]);
    let text = String::from_utf8_lossy(&real).into_owned();
    let token = lease.token.value().to_string();
    let line = |old: &str, new: &str| text.replacen(old, new, 1).into_bytes();
    let broken = [
        b"".to_vec(),
        b"something else".to_vec(),
        b"\xff\xfe\0".to_vec(),
        real[..real.len() - 1].to_vec(),
        [&real[..], b"more"].concat(),
        line("1 p", "2 p"),
        line("1 p", "1 x"),
        line("p r", "p x"),
        line(&token, "9007199254740992"),
        line(&token, "-1"),
        line(&token, ""),
        line(" 1\n", " 4294967296\n"),
        line(" 1\n", " -1\n"),
        line(" 1\n", " \n"),
        line("r - -", "r 0 -"),
        line("r - -", "r - f"),
        line("r - -", "r - x"),
        line("1 p", "1 c"),
        line("1 p", "1 f"),
    ];
    let mut connection = server.connect();
    for (index, bytes) in broken.iter().enumerate() {
        let name = format!("broken {index}");
        redis::cmd("SET").arg(key(&name).as_str()).arg(bytes).exec(&mut connection).unwrap();
        refuses(&store, &name).await;
        let after: Vec<u8> = server.ask(&["GET", key(&name).as_str()]);
        assert_eq!(after, *bytes, "{name}");
    }
    for (kind, make) in [("list", "RPUSH"), ("set", "SADD"), ("stream", "XADD"), ("hash", "HSET")] {
        let key = key(kind);
        let (name, kind_of) = (key.as_str(), |name: &str| server.ask::<String>(&["TYPE", name]));
        match make {
            "XADD" => server.ask::<()>(&[make, name, "*", "field", "value"]),
            "HSET" => server.ask::<()>(&[make, name, "field", "value"]),
            _ => server.ask::<()>(&[make, name, "value"]),
        }
        refuses(&store, kind).await;
        assert_eq!(kind_of(name), kind);
    }
    for counter in ["many", "", "-5", "9007199254740992", "1e3"] {
        server.ask::<()>(&["SET", "oncely:last_token", counter]);
        let error = store.acquire(&[request("new")]).await.expect_err(counter);
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{counter}: {error}");
        assert!(error.to_string().contains("oncely:last_token"), "{error}");
        assert!(!server.ask::<bool>(&["EXISTS", key("new").as_str()]));
    }
}

/// Neither taken nor changed, also not among others.
async fn refuses(store: &dyn Store, name: &str) {
    for requests in [vec![request(name)], vec![request("beside"), request(name)]] {
        let error = store.acquire(&requests).await.expect_err(name);
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{name}: {error}");
    }
    let beside = take(store, &request("beside")).await;
    let lost = oncely::store::Lease::new(key(name), beside.token, 1);
    for what in every_update() {
        let error = store.update(&[(lost.clone(), what)]).await.expect_err(name);
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{name}: {error}");
    }
    // Those that are renewed beside it go on.
    let answers = store.update(&[(lost, renew()), (beside.clone(), renew())]).await.unwrap();
    assert_eq!(answers, [Updated::Lost, Updated::Applied]);
    update(store, &beside, Update::Release).await;
}

#[tokio::test]
async fn names_and_outcomes_come_back_as_they_were() {
    let server = RedisServer::start();
    let (store, other) = (open(&server.url()).await, open(&server.url()).await);
    let large: Vec<u8> = (0..1_u32 << 20).map(|index| ((index * 31) >> 7) as u8).collect();
    let names = ["\0", "a\0b", "{a}b", "{}", "two words ", "💥", "a\r\nb", "*", "\u{fffd}", "%s"];
    let requests = names.map(request);
    let Acquired::Leases(leases) = store.acquire(&requests).await.unwrap() else { panic!() };
    for (name, lease) in names.into_iter().zip(&leases) {
        let changed = other.changed(&lease.key);
        met(&other, name).await;
        assert_eq!(update(&store, lease, complete(&large)).await, Updated::Applied);
        tokio::time::timeout(Duration::from_secs(2), changed).await.expect("news of any name");
        assert_eq!(outcome(met(&other, name).await), StoredOutcome::Value(large[..].into()));
        assert!(server.ask::<bool>(&["EXISTS", &format!("redis/lock/{name}")]));
    }
}

#[tokio::test]
async fn a_completed_record_is_small() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    for length in [20, 200, 1000, 5000] {
        let name = format!("payment-{length:08}");
        let request = request(&name).with_fingerprint(Fingerprint::of("arguments").unwrap());
        let lease = take(&store, &request).await;
        update(&store, &lease, complete(&vec![b'x'; length])).await;
        let used: usize = server.ask(&["MEMORY", "USAGE", lease.key.as_str()]);
        println!("{length} bytes of outcome: {} more", used - length);
        // Allocators round up by an eighth to a quarter.
        assert!(used - length <= 200 + length / 4, "{length} bytes take {used}");
    }
}

#[tokio::test]
async fn the_state_of_a_key_is_told_in_time() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let lease = take(&store, &request("key")).await;
    let RecordState::InProgress { remaining } = met(&store, "key").await.state else { panic!() };
    assert!(remaining <= LONG && remaining > LONG / 2, "{remaining:?}");
    tokio::time::sleep(Duration::from_millis(30)).await;
    update(&store, &lease, complete(b"")).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    let RecordState::Completed { age, .. } = met(&store, "key").await.state else { panic!() };
    assert!((30..5_000).contains(&age.as_millis()), "{age:?}");
}

#[tokio::test]
async fn several_keys_at_once_are_taken_and_ended_as_one_by_one() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let exists = |name: &str| server.ask::<bool>(&["EXISTS", key(name).as_str()]);
    let both = |names: [&str; 2]| {
        let requests = names.map(request);
        let store = &store;
        async move { store.acquire(&requests).await.unwrap() }
    };
    let Acquired::Leases(first) = both(["a", "b"]).await else { panic!("free") };
    assert!(first[1].token > first[0].token, "{first:?}");
    let Acquired::Occupied(occupant) = both(["c", "b"]).await else { panic!("held") };
    assert_eq!((occupant.token, exists("c")), (first[1].token, false));
    // Somebody waits for `b` now, so its end is not what most ends are; that of `a` is.
    let ends = [(first[0].clone(), complete(b"outcome")), (first[1].clone(), Update::Release)];
    for _ in 0..2 {
        assert_eq!(store.update(&ends).await.unwrap(), [Updated::Applied; 2]);
    }
    let Acquired::Occupied(occupant) = both(["c", "a"]).await else { panic!("completed") };
    assert_eq!(outcome(occupant), StoredOutcome::Value((*b"outcome").into()));
    assert!(!exists("c"));
    let Acquired::Leases(next) = both(["b", "c"]).await else { panic!("given back") };
    assert!(next.iter().all(|lease| lease.token > first[1].token), "{next:?} after {first:?}");
    assert_eq!(update(&store, &first[1], Update::Release).await, Updated::Lost);

    // Updates of one record count on one another, and no key on those beside it.
    let (b, c) = (&next[0], &next[1]);
    let twice = [(b.clone(), complete(b"b")), (b.clone(), Update::Release)];
    assert_eq!(store.update(&twice).await.unwrap(), [Updated::Applied, Updated::Lost]);
    server.ask::<()>(&["RPUSH", key("list").as_str(), "value"]);
    for other in [Lease::new(key("list"), c.token, 1), Lease::new(b.key.clone(), c.token, 1)] {
        let lease = take(&store, &request(&format!("beside {other:?}"))).await;
        let beside = [(lease.clone(), complete(b"beside")), (other, Update::Release)];
        assert_eq!(store.update(&beside).await.unwrap(), [Updated::Applied, Updated::Lost]);
    }
    let fingerprint = Fingerprint::of("arguments").unwrap();
    let requests = [
        request("d").with_fingerprint(fingerprint).with_on_interrupted(OnInterrupted::Hold),
        request("e"),
    ];
    let Acquired::Leases(leases) = store.acquire(&requests).await.unwrap() else { panic!("free") };
    let ends = [(leases[0].clone(), complete(b"d")), (leases[1].clone(), Update::Release)];
    assert_eq!(store.update(&ends).await.unwrap(), [Updated::Applied; 2]);
    let done = met(&store, "d").await;
    assert_eq!(done.fingerprint, Some(fingerprint));
    assert_eq!(outcome(done), StoredOutcome::Value((*b"d").into()));
    assert!(take(&store, &request("e")).await.token > leases[1].token);

    // Three of them; then with leases of different lengths, each of which counts for itself.
    let names = ["f", "g", "h"];
    for longer in [Duration::ZERO, LONG] {
        let mut requests = names.map(request);
        requests[2].lease += longer;
        let Acquired::Leases(leases) = store.acquire(&requests).await.unwrap() else { panic!() };
        let tokens = leases.iter().map(|lease| lease.token.value());
        assert!(tokens.is_sorted_by(|one, next| one + 31 < *next), "{leases:?}");
        if !longer.is_zero() {
            let RecordState::InProgress { remaining } = met(&store, "h").await.state else {
                panic!()
            };
            assert!(remaining > LONG, "{remaining:?}");
        }
        let ends: Vec<_> = leases.into_iter().map(|lease| (lease, Update::Release)).collect();
        assert_eq!(store.update(&ends).await.unwrap(), [Updated::Applied; 3]);
        let left = server.ask::<i64>(&["PTTL", key("h").as_str()]);
        assert!((MINUTE - 5_000..=MINUTE).contains(&left), "{left} ms");
    }
}
