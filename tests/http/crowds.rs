//! Many at once, both versions of HTTP, large bodies, hostile keys.

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use futures_util::future::join_all;
use oncely::http::{IdempotencyKey, IdempotencyLayer, ReplayedLayer};
use oncely::idempotent;
use oncely_tests::{Counter, Fixture, ms};

use crate::client::{Answer, Client};
use crate::service::{Server, through};

#[idempotent]
async fn annotated(
    _key: IdempotencyKey,
    State(ran): State<Counter>,
    body: Bytes,
) -> Result<Response, oncely::Error> {
    tokio::time::sleep(ms(50)).await;
    Ok(Response::new(format!("{} of {}", ran.up(), body.len()).into()))
}

async fn plain(State(ran): State<Counter>, body: Bytes) -> String {
    tokio::time::sleep(ms(50)).await;
    format!("{} of {}", ran.up(), body.len())
}

struct Crowd {
    server: Server,
    ran: Counter,
    _fixture: Fixture,
}

impl Crowd {
    async fn at(fixture: Fixture) -> Self {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let layer = IdempotencyLayer::new(&oncely, |_| "everyone".to_owned()).body_limit(4 << 20);
        let router = Router::new()
            .route("/annotated", post(annotated))
            .route("/layer", post(plain).layer(layer))
            .layer(DefaultBodyLimit::max(4 << 20))
            .layer(ReplayedLayer)
            .with_state(ran.clone());
        let server = Server::start(through(&oncely, router)).await;
        Self { server, ran, _fixture: fixture }
    }
}

async fn a_hundred_at_once(crowd: &Crowd, client: &Client, path: &str, key: &str) {
    let before = crowd.ran.count();
    let answers = join_all((0..100).map(|_| client.post(path, Some(key), "the same"))).await;
    assert_eq!(crowd.ran.count(), before + 1, "{path}");
    let expected = format!("{} of 8", before + 1);
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), answer.text()), (200, &*expected));
    }
    let replayed = answers.iter().filter(|answer| answer.is_replayed()).count();
    assert_eq!(replayed, 99, "{path}");
}

async fn duplicates(fixture: Fixture) {
    let crowd = Crowd::at(fixture).await;
    for (version, client) in
        [("1", Client::http1(&crowd.server)), ("2", Client::http2(&crowd.server))]
    {
        for path in ["/annotated", "/layer"] {
            a_hundred_at_once(&crowd, &client, path, version).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_duplicates_at_once_run_once_in_memory() {
    duplicates(Fixture::memory().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_duplicates_at_once_run_once_on_sqlite() {
    duplicates(Fixture::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_duplicates_at_once_run_once_on_redis() {
    duplicates(Fixture::redis().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_two_servers_on_one_store_run_once() {
    let fixture = Fixture::redis().await;
    let elsewhere = fixture.elsewhere();
    let here = Crowd::at(fixture).await;
    let layer = IdempotencyLayer::new(&elsewhere, |_| "everyone".to_owned());
    let router =
        Router::new().route("/layer", post(plain).layer(layer)).with_state(here.ran.clone());
    let there = Server::start(router).await;
    let clients = [Client::http1(&here.server), Client::http1(&there)];
    let requests = (0..40).map(|n: usize| clients[n % 2].post("/layer", Some("k"), "x"));
    let answers: Vec<Answer> = join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.text() == "1 of 1"), "{answers:?}");
    assert_eq!(here.ran.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_two_megabytes_are_compared_to_their_last_byte() {
    let crowd = Crowd::at(Fixture::memory().await).await;
    let mut body = vec![b'a'; 2_000_000];
    for client in [Client::http1(&crowd.server), Client::http2(&crowd.server)] {
        for path in ["/annotated", "/layer"] {
            let key = format!("{path}{}", body[0]);
            let first = client.post(path, Some(&key), body.clone()).await;
            assert!(first.text().ends_with(" of 2000000"), "{first:?}");
            let replay = client.post(path, Some(&key), body.clone()).await;
            assert!(replay.is_replayed() && replay.body == first.body);
            let mut other = body.clone();
            *other.last_mut().unwrap() ^= 1;
            client.post(path, Some(&key), other).await.is_problem(422, "key-reused");
        }
        body[0] += 1;
    }
    assert_eq!(crowd.ran.count(), 4);
}

#[tokio::test]
async fn hostile_keys_are_refused_or_keys_like_any_other() {
    let longest = "k".repeat(255);
    let keys = [
        "../../etc/passwd",
        "oncely/lock/order:7",
        "%2F%00",
        "{key}:*",
        "'; DROP TABLE oncely; --",
        "*1\\r\\n$7\\r\\nFLUSHALL",
        "<key>",
        "a/b",
        "a%2Fb",
        "a",
        "A",
        &longest,
    ];
    for fixture in [Fixture::memory().await, Fixture::sqlite().await, Fixture::redis().await] {
        let crowd = Crowd::at(fixture).await;
        let client = Client::http1(&crowd.server);
        for path in ["/annotated", "/layer"] {
            let before = crowd.ran.count();
            let visible = || keys.iter().filter(|key| !key.contains(' '));
            for key in visible() {
                assert!(!client.post(path, Some(key), "x").await.is_replayed(), "{key}");
            }
            for key in visible() {
                assert!(client.post(path, Some(key), "x").await.is_replayed(), "{key}");
            }
            assert_eq!(crowd.ran.count(), before + visible().count());
            let too_long = "k".repeat(256);
            for key in ["", "  ", "a b", "a\tb", "\u{e4}", "\"", "\"\"", &too_long, keys[4]] {
                let answer = client.post(path, Some(key), "x").await;
                answer.is_problem(400, "malformed-key");
            }
        }
    }
}
