//! The rules of the IETF's draft (draft-ietf-httpapi-idempotency-key-header-07), one by one.

use axum::Router;
use axum::routing::any;
use http::{Method, StatusCode};
use oncely::http::IdempotencyLayer;
use oncely_tests::{Counter, Stage, ms};

use crate::client::Client;
use crate::service::{Server, memory};

/// A service that counts, and waits on stage if it is told to.
struct Counting {
    server: Server,
    ran: Counter,
    stage: Stage,
}

impl Counting {
    async fn behind(set: impl FnOnce(IdempotencyLayer) -> IdempotencyLayer) -> Self {
        let (ran, stage) = (Counter::default(), Stage::default());
        let (counter, waits) = (ran.clone(), stage.clone());
        let handler = move |body: String| async move {
            let number = counter.up();
            if body == "wait" {
                waits.enter().await;
            }
            match body.strip_prefix("status ") {
                Some(status) => {
                    (StatusCode::from_bytes(status.as_bytes()).unwrap(), number.to_string())
                }
                None => (StatusCode::CREATED, number.to_string()),
            }
        };
        let layer = IdempotencyLayer::new(&memory().await, |_| "everyone".to_owned());
        let router = Router::new()
            .route("/payments", any(handler.clone()))
            .route("/refunds", any(handler))
            .layer(set(layer));
        Self { server: Server::start(router).await, ran, stage }
    }

    fn client(&self) -> Client {
        Client::http1(&self.server)
    }
}

/// Section 2.1: an item of a structured field, whose value is a string.
#[tokio::test]
async fn the_key_is_a_string_of_a_structured_field() {
    let service = Counting::behind(|layer| layer).await;
    let client = service.client();
    let first = client.post("/payments", Some(r#""8e03978e""#), "a").await;
    assert_eq!((first.status.as_u16(), first.text()), (201, "1"));
    for same in [r#""8e03978e""#, "8e03978e", r#""8e03978e";v=1"#] {
        assert!(client.post("/payments", Some(same), "a").await.is_replayed(), "{same}");
    }
    for broken in [r#""8e03978e"#, r#""a", "b""#, r#""a"b"#, r#""""#] {
        client.post("/payments", Some(broken), "a").await.is_problem(400, "malformed-key");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    let answer = client.send(Method::POST, "/payments", twice, "a").await;
    answer.is_problem(400, "malformed-key");
    assert_eq!(service.ran.count(), 1);
}

/// Section 2.2: a key is not to be used again with another request.
/// Section 2.7: such a request is answered with 422.
#[tokio::test]
async fn a_key_is_for_one_request() {
    let service = Counting::behind(|layer| layer).await;
    let client = service.client();
    client.post("/payments", Some("k"), "a").await;
    client.post("/payments", Some("k"), "b").await.is_problem(422, "key-reused");
    client.post("/payments?x=1", Some("k"), "a").await.is_problem(422, "key-reused");
    client.post("/refunds", Some("k"), "a").await.is_problem(422, "key-reused");
    let key = [("idempotency-key", "k")];
    let patch = client.send(Method::PATCH, "/payments", key, "a").await;
    patch.is_problem(422, "key-reused");
    assert_eq!(service.ran.count(), 1);
}

/// Section 2.3: a server publishes for how long it knows a key.
#[tokio::test]
async fn the_answer_says_for_how_long_it_replays() {
    let service = Counting::behind(|layer| layer.retention(ms(90_000))).await;
    let client = service.client();
    let first = client.post("/payments", Some("k"), "a").await;
    assert_eq!(first.header("idempotency-retention"), Some("90"));
    let replay = client.post("/payments", Some("k"), "a").await;
    let left: u64 = replay.header("idempotency-retention").unwrap().parse().unwrap();
    assert!((60..=90).contains(&left), "{left}");
}

/// Section 2.3: after that, it is a new request.
#[tokio::test]
async fn a_key_that_has_expired_is_new() {
    let service = Counting::behind(|layer| layer.retention(ms(50)).lease(ms(50))).await;
    let client = service.client();
    assert_eq!(client.post("/payments", Some("k"), "a").await.text(), "1");
    tokio::time::sleep(ms(100)).await;
    assert_eq!(client.post("/payments", Some("k"), "b").await.text(), "2");
}

/// Section 2.6: the first request is done; one after its end is answered with its result, a success
/// or an error.
#[tokio::test]
async fn a_repeated_request_gets_the_result_of_the_first_also_if_that_is_an_error() {
    let service = Counting::behind(|layer| layer).await;
    let client = service.client();
    for (key, body, status) in [("a", "x", 201), ("b", "status 500", 500), ("c", "status 402", 402)]
    {
        let first = client.post("/payments", Some(key), body).await;
        let second = client.post("/payments", Some(key), body).await;
        assert_eq!(first.status, status);
        assert_eq!((second.status, &second.body), (first.status, &first.body));
        assert!(second.is_replayed() && !first.is_replayed());
    }
    assert_eq!(service.ran.count(), 3);
}

/// Section 2.6: a request while the first runs is a conflict (409), and may be sent again.
#[tokio::test]
async fn a_request_while_the_first_runs_is_a_conflict_where_it_may_not_wait() {
    let service = Counting::behind(|layer| layer.wait(ms(0))).await;
    let client = service.client();
    let first = client.post("/payments", Some("k"), "wait");
    let second = async {
        service.stage.entered().await;
        let conflict = client.post("/payments", Some("k"), "wait").await;
        conflict.is_problem(409, "in-progress");
        assert_eq!(conflict.header("retry-after"), Some("1"));
        // What it is about is looked at first.
        client.post("/payments", Some("k"), "b").await.is_problem(422, "key-reused");
        service.stage.open();
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first.text(), "1");
    assert!(client.post("/payments", Some("k"), "wait").await.is_replayed());
    assert_eq!(service.ran.count(), 1);
}

/// Beyond the draft: where it may wait, it gets the answer of the first.
#[tokio::test]
async fn a_request_while_the_first_runs_waits_for_its_answer() {
    let service = Counting::behind(|layer| layer).await;
    let client = service.client();
    let second = async {
        service.stage.entered().await;
        let asks = client.post("/payments", Some("k"), "wait");
        let opens = async {
            tokio::time::sleep(ms(50)).await;
            service.stage.open();
        };
        tokio::join!(asks, opens).0
    };
    let (first, second) = tokio::join!(client.post("/payments", Some("k"), "wait"), second);
    assert_eq!((first.text(), second.text()), ("1", "1"));
    assert!(second.is_replayed());
}

/// Section 2.7: a request without the key that it needs is answered with 400.
#[tokio::test]
async fn a_missing_key_is_refused_where_one_is_required() {
    let service = Counting::behind(IdempotencyLayer::required).await;
    service.client().post("/payments", None, "a").await.is_problem(400, "missing-key");
    assert_eq!(service.ran.count(), 0);

    let service = Counting::behind(|layer| layer).await;
    for number in ["1", "2"] {
        let answer = service.client().post("/payments", None, "a").await;
        assert_eq!(answer.text(), number);
        assert_eq!(answer.header("idempotency-retention"), None);
    }
}

/// Section 1: methods that are idempotent by themselves have no need of the key.
#[tokio::test]
async fn only_post_and_patch_are_protected_unless_others_are_named() {
    let of = async |service: &Counting, method: Method| {
        let client = service.client();
        let key = [("idempotency-key", method.as_str())];
        client.send(method.clone(), "/payments", key, "a").await;
        client.send(method.clone(), "/payments", key, "a").await.is_replayed()
    };
    let service = Counting::behind(|layer| layer).await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        assert!(!of(&service, method).await);
    }
    assert!(of(&service, Method::POST).await && of(&service, Method::PATCH).await);
    let service = Counting::behind(|layer| layer.methods([Method::DELETE])).await;
    assert!(of(&service, Method::DELETE).await && !of(&service, Method::POST).await);
}
