//! Keys, and what keeps them apart.

use oncely::{Coordinator, ErrorKind};
use oncely_tests::{Counter, for_every_store, ms, secs};

use crate::{counted, pay};

/// Each of these is a key of its own.
const KEYS: &[&str] = &[
    "a",
    "A",
    "ä",
    "a\u{308}",
    "а",
    " a",
    "a ",
    "a  ",
    "a\t",
    "a\n",
    "a\0",
    "\0",
    "\0a",
    "a\0b",
    "a/b",
    "a%2Fb",
    "a%2fb",
    "a%b",
    "%",
    "/",
    "//",
    "/a",
    "a/",
    "'",
    "\"",
    "\\",
    "a;--",
    "a'b",
    "👩‍👩‍👧",
    "👩",
    "\u{200b}",
    "\u{feff}a",
    "ﬁ",
    "fi",
    "ß",
    "ss",
    "SS",
    "İ",
    "i",
    "I",
    "ı",
    "１",
    "1",
    "01",
    "*",
    "?",
    "[a]",
    "{a}",
    "null",
    "NULL",
    "$1",
    ":a",
    "a:b",
    "\u{10ffff}",
    "\u{7f}",
];

for_every_store! {
    async fn keys_that_look_alike_are_different(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let ran = Counter::default();
        for (index, key) in KEYS.iter().enumerate() {
            let first = pay(&oncely, key).wait(ms(0)).run(counted(&ran)).await.unwrap();
            assert_eq!((first.is_replayed(), first.into_value()), (false, index + 1), "{key:?}");
        }
        for (index, key) in KEYS.iter().enumerate() {
            let again = pay(&fixture.elsewhere(), key).run(counted(&ran)).await.unwrap();
            assert_eq!((again.is_replayed(), again.into_value()), (true, index + 1), "{key:?}");
        }
        let all = oncely.lock_all(KEYS).wait(ms(0)).acquire().await.unwrap();
        assert_eq!(all.key(), "a");
        all.release().await.unwrap();
    }

    async fn parts_of_a_name_cannot_be_shifted_into_each_other(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let names = [
            ("a", "b", "c"), ("a/b", "", "c"), ("a", "", "b/c"), ("a", "b/c", "d"),
            ("a/b", "c", "d"), ("a%2Fb", "c", "d"), ("a", "", "c"), ("a", "%", "c"),
            ("a", "%25", "c"), ("A", "", "c"), ("a ", "", "c"), ("a\0", "", "c"),
        ];
        for (operation, scope, key) in names {
            let call = oncely.idempotent(operation, key).scope(scope).wait(ms(0));
            let outcome = call.run(counted(&ran)).await.unwrap();
            assert!(!outcome.is_replayed(), "{operation:?} {scope:?} {key:?}");
        }
    }

    async fn callers_operations_and_namespaces_do_not_meet(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let other = fixture.build(Coordinator::builder().namespace("other"));
        let calls = || [
            pay(&oncely, "42"),
            pay(&oncely, "42").scope("alice"),
            pay(&oncely, "42").scope("bob"),
            oncely.idempotent("refund", "42"),
            pay(&other, "42"),
        ];
        for (index, call) in calls().into_iter().enumerate() {
            let outcome = call.run(counted(&ran)).await.unwrap();
            assert_eq!((outcome.is_replayed(), outcome.into_value()), (false, index + 1));
        }
        for (index, call) in calls().into_iter().enumerate() {
            let outcome = call.run(counted(&ran)).await.unwrap();
            assert_eq!((outcome.is_replayed(), outcome.into_value()), (true, index + 1));
        }
    }

    async fn locks_and_calls_of_one_name_do_not_meet(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let other = fixture.build(Coordinator::builder().namespace("other"));
        let _lock = oncely.lock("42").acquire().await.unwrap();
        let _other = other.lock("42").wait(ms(0)).acquire().await.unwrap();
        let call = pay(&oncely, "42").wait(ms(0)).run(counted(&Counter::default()));
        assert_eq!(call.await.unwrap().into_value(), 1);
    }

    async fn keys_may_have_512_bytes(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let (fits, similar) = ("x".repeat(512), format!("{}y", "x".repeat(511)));
        assert_eq!(pay(&oncely, &fits).run(counted(&ran)).await.unwrap().into_value(), 1);
        assert_eq!(pay(&oncely, &similar).run(counted(&ran)).await.unwrap().into_value(), 2);
        let longest = oncely.idempotent("/".repeat(512), "ü".repeat(256)).scope("%".repeat(512));
        assert_eq!(longest.run(counted(&ran)).await.unwrap().into_value(), 3);
    }

    async fn keys_that_cannot_be_used_are_refused_without_asking_the_store(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let long = "ü".repeat(5_000);
        let over = "x".repeat(513);
        for key in ["", &long, &over] {
            let call = pay(&oncely, key).run(counted(&ran)).await.unwrap_err();
            let lock = oncely.lock(key).acquire().await.unwrap_err();
            let several = oncely.lock_all(["a", key]).acquire().await.unwrap_err();
            let fused = pay(&oncely, "42").with_lock(oncely.lock(key)).run(counted(&ran));
            for refused in [call, lock, several, fused.await.unwrap_err()] {
                assert_eq!(refused.kind(), ErrorKind::InvalidKey);
                assert!(!refused.is_retryable());
                assert!(refused.to_string().len() < 200, "{refused}");
            }
        }
        let scope = pay(&oncely, "42").scope(&long).run(counted(&ran)).await.unwrap_err();
        let operation = oncely.idempotent(&long, "42").run(counted(&ran)).await.unwrap_err();
        let nameless = oncely.idempotent("", "42").run(counted(&ran)).await.unwrap_err();
        for refused in [scope, operation, nameless] {
            assert_eq!(refused.kind(), ErrorKind::InvalidKey);
        }
        assert_eq!((ran.count(), fixture.store().round_trips()), (0, 0));
    }

    async fn settings_that_cannot_work_are_refused_without_asking_the_store(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        for call in [
            pay(&oncely, "42").lease(ms(0)),
            pay(&oncely, "42").lease(secs(60)).max_hold(secs(30)),
            pay(&oncely, "42").lease(secs(60)).retention(secs(30)),
            pay(&oncely, "42").with_lock(oncely.lock("order").lease(ms(0))),
        ] {
            let refused = call.run(counted(&ran)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidConfiguration);
        }
        let lock = oncely.lock("42").max_hold(ms(1)).acquire().await.unwrap_err();
        assert_eq!(lock.kind(), ErrorKind::InvalidConfiguration);
        assert_eq!((ran.count(), fixture.store().round_trips()), (0, 0));
    }

    async fn settings_beyond_all_measure_are_fine(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let ever = std::time::Duration::MAX;
        let lock = oncely.lock("order").lease(ever).max_hold(ever).wait(ever);
        let call = pay(&oncely, "42").lease(ever).max_hold(ever).wait(ever).retention(ever);
        call.with_lock(lock).run(counted(&ran)).await.unwrap();
        assert!(pay(&oncely, "42").run(counted(&ran)).await.unwrap().is_replayed());
    }
}

#[tokio::test]
async fn coordinators_that_cannot_work_are_refused() {
    let refused = |result: Result<Coordinator, oncely::Error>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidConfiguration);
    };
    refused(Coordinator::builder().namespace("").connect("memory:").await);
    refused(Coordinator::builder().namespace("x".repeat(65)).connect("memory:").await);
    refused(Coordinator::builder().store_timeout(ms(0)).connect("memory:").await);
    for url in ["", "memory", "memory:x", "nowhere:", "mongodb://localhost/shop", "/tmp/file"] {
        if url != "memory" {
            refused(Coordinator::connect(url).await);
        }
    }
    let secret = Coordinator::connect("nosuch://user:hunter2@host").await.unwrap_err();
    assert!(!format!("{secret} {secret:?}").contains("hunter2"));
}
