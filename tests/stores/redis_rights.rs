//! Servers that are not for us, and users who may not do everything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oncely::store::redis::RedisStore;
use oncely::store::{Key, LeaseRequest, Store, StoreErrorKind, Update, Updated};
use oncely::{Coordinator, ErrorKind};
use oncely_tests::proxy::Proxy;
use oncely_tests::redis::RedisServer;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::redis_steps::{complete, key, met, open, request, take, update};

/// What the documentation says a user needs.
const COMMANDS: [&str; 16] = [
    "evalsha",
    "eval",
    "script|load",
    "time",
    "get",
    "set",
    "setrange",
    "zadd",
    "zpopmin",
    "zrange",
    "zrem",
    "pexpire",
    "publish",
    "subscribe",
    "unsubscribe",
    "info",
];

/// The channels, and what stands before a key in the name of its queue.
const CHANNELS: [&str; 2] = ["&oncely:changed:*", "&oncely:granted:*"];

fn user(server: &RedisServer, commands: &[&str], channels: &[&str]) -> String {
    let mut rule = vec!["ACL", "SETUSER", "limited", "reset", "on", ">secret"];
    rule.extend(["~redis/*", "~oncely/queue/redis/*", "~oncely:last_token"]);
    rule.extend(channels);
    let allowed: Vec<_> = commands.iter().map(|command| format!("+{command}")).collect();
    rule.extend(allowed.iter().map(String::as_str));
    server.ask::<()>(&rule);
    format!("{}?user=limited&pass=secret", server.url())
}

#[tokio::test]
async fn a_user_with_the_documented_rights_does_everything() {
    let server = RedisServer::start();
    let url = user(&server, &COMMANDS, &CHANNELS);
    let (store, warnings) = listening(RedisStore::connect(&url)).await;
    let store = store.unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let lease = take(&store, &request("key")).await;
    let key = key("key");
    let changed = store.changed(&key);
    met(&store, "key").await;
    assert_eq!(update(&store, &lease, complete(b"")).await, Updated::Applied);
    tokio::time::timeout(Duration::from_secs(2), changed).await.expect("news");

    let lease = take(&store, &request("queue")).await;
    let next = request("queue");
    let called = store.wait(&next);
    assert_eq!(update(&store, &lease, Update::Release).await, Updated::Applied);
    tokio::time::timeout(Duration::from_secs(2), called).await.expect("a call");
    take(&store, &next).await;

    let foreign = Key::lock("foreign", "key").unwrap();
    let answer = store.acquire(&[LeaseRequest::new(foreign, Duration::from_secs(1))]).await;
    assert_eq!(answer.expect_err("another namespace").kind(), StoreErrorKind::Unsupported);
}

#[tokio::test]
async fn without_news_waiting_works_and_without_info_there_is_a_warning() {
    let server = RedisServer::start();
    let without = |missing: &[&str]| -> Vec<&str> {
        COMMANDS.into_iter().filter(|command| !missing.contains(command)).collect()
    };
    let url = user(&server, &without(&["info", "setrange", "publish", "subscribe"]), &[]);
    let (store, warnings) = listening(RedisStore::connect(&url)).await;
    assert!(warnings.len() == 1 && warnings[0].contains("INFO"), "{warnings:?}");
    let store = store.unwrap();
    let lease = take(&store, &request("key")).await;
    let key = key("key");
    let changed = store.changed(&key);
    met(&store, "key").await;
    assert_eq!(update(&store, &lease, Update::Release).await, Updated::Applied);
    tokio::time::timeout(Duration::from_millis(100), changed).await.expect_err("no news");

    for missing in ["script|load", "evalsha", "set"] {
        let url = user(&server, &without(&[missing]), &["&*"]);
        let error = match RedisStore::connect(&url).await {
            Ok(store) => store.acquire(&[request("new")]).await.expect_err(missing),
            Err(error) => error,
        };
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{missing}: {error}");
        assert!(error.to_string().contains("oncely::store::redis"), "{missing}: {error}");
    }
}

#[tokio::test]
async fn passwords_are_needed_and_not_shown() {
    let server = RedisServer::with(&["--requirepass", "open sesame"]);
    for (query, right) in [("", false), ("?pass=hunter2", false), ("?pass=open%20sesame", true)] {
        match RedisStore::connect(&format!("{}{query}", server.url())).await {
            Ok(store) => {
                assert!(right);
                assert!(!format!("{store:?}").contains("sesame"), "{store:?}");
            }
            Err(error) => {
                assert!(!right, "{error}");
                assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn servers_that_cannot_keep_records_are_refused() {
    let server = RedisServer::with(&["--replicaof", "127.0.0.1 1"]);
    let error = RedisStore::connect(&server.url()).await.expect_err("a replica");
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    assert!(error.to_string().contains("replica"), "{error}");

    let server = RedisServer::start();
    for (old, new, what) in [
        ("cluster_enabled:0", "cluster_enabled:1", "cluster"),
        ("redis_version:7", "redis_version:5", "6.0 or later"),
    ] {
        let version: String = server.ask(&["INFO", "server"]);
        if !version.contains(old) && old.starts_with("redis_version") {
            continue;
        }
        let proxy = Proxy::to(&server.socket());
        proxy.change(old, new);
        let error = RedisStore::connect(&proxy.url()).await.expect_err(new);
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_becomes_a_replica_is_unavailable_until_it_is_none() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let lease = take(&store, &request("key")).await;
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = store.acquire(&[request("new")]).await.expect_err("a replica");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(update(&store, &lease, Update::Release).await, Updated::Applied);
}

#[tokio::test]
async fn an_evicting_server_is_used_with_a_warning() {
    let server = RedisServer::with(&["--maxmemory-policy", "allkeys-lru"]);
    let (store, warnings) = listening(RedisStore::connect(&server.url())).await;
    take(&store.unwrap(), &request("key")).await;
    assert!(warnings.len() == 1 && warnings[0].contains("allkeys-lru"), "{warnings:?}");
    assert!(warnings[0].contains("noeviction"), "{warnings:?}");
}

#[tokio::test]
async fn a_full_server_is_unavailable_and_nothing_is_half_taken() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let lease = take(&store, &request("key")).await;
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = store.acquire(&[request("a"), request("b")]).await.expect_err("full");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("memory"), "{error}");
    server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(update(&store, &lease, Update::Release).await, Updated::Applied);
    take(&store, &request("a")).await;
}

#[tokio::test]
async fn urls_that_cannot_be_used_say_what_to_write() {
    let unsupported = [
        ("rediss://localhost/#insecure", "always verified"),
        ("rediss://:hunter2@localhost?ca=/nowhere", "/nowhere"),
        ("redis+cluster://:hunter2@localhost/1", "no databases"),
        ("redis-cluster://a,b:port", "redis://HOST"),
        ("http://localhost", "redis://"),
        ("redis", "redis://"),
        ("redis://:hunter2@localhost/database", "redis://HOST"),
        ("redis://:hunter2@localhost:port", "redis://HOST"),
    ];
    for (url, hint) in unsupported {
        let error = RedisStore::connect(url).await.expect_err(url);
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{url}: {error}");
        assert!(error.to_string().contains(hint), "{url}: {error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{url}: {error:?}");
    }
    let server = RedisServer::start();
    Coordinator::connect(&server.url()).await.expect("a coordinator");
    Coordinator::connect(&server.url().replace("redis+unix", "unix")).await.expect("another");
    let error = Coordinator::connect("redis+unix:///nowhere/redis.sock").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    let error = Coordinator::connect("rediss://localhost/#insecure").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreUnsupported);
}

#[tokio::test]
async fn databases_are_kept_apart() {
    let server = RedisServer::start();
    let url = |database: u8| format!("{}?db={database}", server.url());
    let (first, second) = (open(&url(1)).await, open(&url(2)).await);
    take(&first, &request("key")).await;
    take(&second, &request("key")).await;
    met(&open(&url(1)).await, "key").await;
}

/// Runs a future, and listens for warnings on its thread.
async fn listening<F: Future>(future: F) -> (F::Output, Vec<String>) {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let output = future.await;
    let heard = warnings.heard.lock().unwrap().clone();
    (output, heard)
}

#[derive(Clone, Default)]
struct Warnings {
    heard: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("oncely")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            text += &format!("{}={value:?} ", field.name());
        });
        self.heard.lock().unwrap().push(text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
