//! TLS to a Redis server: who is trusted, and what is said of those who are not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use oncely::store::redis::RedisStore;
use oncely::store::{Store, StoreErrorKind, Update, Updated};
use oncely::{Coordinator, ErrorKind};
use oncely_tests::tls::{Authority, TlsServer};

use crate::redis_steps::{key, met, open, request, take, update};

/// What is said of a URL that cannot be used.
async fn refusal(url: &str) -> String {
    let error = RedisStore::connect(url).await.expect_err(url);
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{url}: {error}");
    error.to_string()
}

#[tokio::test]
async fn a_server_of_a_trusted_authority_serves_and_tells_news() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "127.0.0.1", false);
    let store = open(&server.url(&authority)).await;
    let lease = take(&store, &request("key")).await;
    let waited_for = key("key");
    let changed = store.changed(&waited_for);
    met(&store, "key").await;
    assert_eq!(update(&store, &lease, Update::Release).await, Updated::Applied);
    tokio::time::timeout(Duration::from_secs(2), changed).await.expect("news");
    // The records are those that everybody else sees.
    let other = open(&server.server().url()).await;
    assert!(take(&other, &request("key")).await.token > lease.token);
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = TlsServer::start(&authority, "127.0.0.1", false);
    let said = refusal(&server.url(&stranger)).await;
    assert!(said.contains("nobody who is trusted") && said.contains("?ca=PATH"), "{said}");
    // The machine does not trust it either.
    let said = refusal(&format!("rediss://127.0.0.1:{}", server.port())).await;
    assert!(said.contains("?ca=PATH"), "{said}");
    let error = Coordinator::connect(&server.url(&stranger)).await.expect_err("a stranger");
    assert_eq!(error.kind(), ErrorKind::StoreUnsupported, "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "redis.example", false);
    let said = refusal(&server.url(&authority)).await;
    assert!(said.contains("certificate is refused") && said.contains("redis.example"), "{said}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_one_of_the_url() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority, "127.0.0.1", true);
    let url = server.url(&authority);
    let said = refusal(&url).await;
    assert!(said.contains("?cert=PATH&key=PATH"), "{said}");
    let (certificate, secret) = authority.certify("client");
    let with = format!("{url}&cert={}&key={}", certificate.display(), secret.display());
    take(&open(&with).await, &request("key")).await;
    let said = refusal(&format!("{url}&cert={}", certificate.display())).await;
    assert!(said.contains("needs its key"), "{said}");
}

#[tokio::test]
async fn a_server_without_tls_is_said_to_be_one() {
    let authority = Authority::new();
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut client, _) = plain.accept().unwrap();
        client.write_all(b"-ERR unknown command\r\n").unwrap();
        // Until the client has read it and goes.
        let _ = client.read_to_end(&mut Vec::new());
    });
    let url = format!("rediss://127.0.0.1:{port}?ca={}", authority.file().display());
    let said = refusal(&url).await;
    assert!(said.contains("does not speak TLS"), "{said}");
    answering.join().unwrap();
}

#[tokio::test]
async fn verification_cannot_be_turned_off_and_nothing_is_passed_over() {
    let authority = Authority::new();
    let ca = authority.file().display().to_string();
    for (url, what) in [
        ("rediss://127.0.0.1:1/#insecure".to_owned(), "always verified"),
        (format!("redis://127.0.0.1:1?ca={ca}"), "write `rediss:`"),
        (format!("rediss://127.0.0.1:1?cafile={ca}"), "`cafile` is not known"),
        ("rediss://127.0.0.1:1?ca=/nowhere/ca.pem".to_owned(), "/nowhere/ca.pem"),
        (format!("rediss://127.0.0.1:1?ca={ca}&cert={ca}&key={ca}"), "cannot be used"),
    ] {
        let said = refusal(&url).await;
        assert!(said.contains(what), "{url}: {said}");
    }
}
