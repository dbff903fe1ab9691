//! Which answers of a service behind the layer are stored, and which of their parts.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::StatusCode;
use http::header::{DATE, LOCATION, SET_COOKIE};
use http_body_util::Full;
use oncely::http::{IdempotencyLayer, StoreHeaders};
use oncely_tests::Counter;

use crate::client::Client;
use crate::service::{Server, memory};

async fn serve<F, Fut>(
    layer: impl FnOnce(IdempotencyLayer) -> IdempotencyLayer,
    answer: F,
) -> Server
where
    F: Fn(usize, String) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let ran = Counter::default();
    let handler = move |body: String| {
        let (answer, number) = (answer.clone(), ran.up());
        async move { answer(number, body).await }
    };
    let new = IdempotencyLayer::new(&memory().await, |_| "everyone".to_owned());
    let router = Router::new().route("/", post(handler)).layer(layer(new));
    Server::start(router).await
}

#[tokio::test]
async fn what_was_decided_is_stored_and_what_was_turned_away_may_be_tried_again() {
    let answer = async |number: usize, body: String| {
        (StatusCode::from_bytes(body.as_bytes()).unwrap(), number.to_string()).into_response()
    };
    let server = serve(|layer| layer, answer).await;
    let client = Client::http1(&server);
    for (status, stored) in [
        ("200", true),
        ("303", true),
        ("402", true),
        ("500", true),
        ("502", true),
        ("400", false),
        ("403", false),
        ("404", false),
        ("409", false),
        ("422", false),
        ("429", false),
        ("503", false),
    ] {
        let first = client.post("/", Some(status), status).await;
        let second = client.post("/", Some(status), status).await;
        assert_eq!(second.status, first.status);
        assert_eq!(second.is_replayed(), stored, "{status}");
        assert_eq!(second.body == first.body, stored, "{status}");
        assert_eq!(first.header("idempotency-retention").is_some(), stored, "{status}");
    }
}

#[tokio::test]
async fn the_service_may_choose_what_is_stored() {
    let answer =
        async |_, body: String| StatusCode::from_bytes(body.as_bytes()).unwrap().into_response();
    let server = serve(|layer| layer.stores(|status| status == 404), answer).await;
    let client = Client::http1(&server);
    for (status, stored) in [("404", true), ("200", false), ("500", false)] {
        client.post("/", Some(status), status).await;
        assert_eq!(client.post("/", Some(status), status).await.is_replayed(), stored);
    }
}

async fn with_headers(number: usize, body: String) -> Response {
    let mut response = number.to_string().into_response();
    let headers = response.headers_mut();
    headers.insert(SET_COOKIE, HeaderValue::from_static("session=1"));
    headers.insert(LOCATION, HeaderValue::from_static("/there"));
    headers.insert(DATE, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    headers.append("x-twice", HeaderValue::from_static("a"));
    headers.append("x-twice", HeaderValue::from_static("b"));
    let mut token = HeaderValue::from_static("token");
    token.set_sensitive(true);
    headers.insert("x-token", token);
    if body == "ask" {
        response.extensions_mut().insert(StoreHeaders::new([SET_COOKIE]));
    }
    response
}

#[tokio::test]
async fn headers_replay_except_secrets_and_what_belongs_to_the_message() {
    let server = serve(|layer| layer, with_headers).await;
    let client = Client::http1(&server);
    let first = client.post("/", Some("k"), "").await;
    let replay = client.post("/", Some("k"), "").await;
    assert!(replay.is_replayed());
    assert_eq!(replay.header("location"), Some("/there"));
    assert_eq!(replay.headers.get_all("x-twice").iter().count(), 2);
    assert_eq!(replay.header("content-type"), first.header("content-type"));
    for (secret, value) in [("set-cookie", "session=1"), ("x-token", "token")] {
        assert_eq!(first.header(secret), Some(value), "the first caller gets it");
        assert_eq!(replay.header(secret), None);
    }
    assert_ne!(replay.header("date"), first.header("date"));
}

#[tokio::test]
async fn a_secret_that_is_asked_for_replays() {
    let server = serve(|layer| layer, with_headers).await;
    let client = Client::http1(&server);
    client.post("/", Some("k"), "ask").await;
    assert_eq!(client.post("/", Some("k"), "ask").await.header("set-cookie"), Some("session=1"));

    let server = serve(|layer| layer.store_header(SET_COOKIE), with_headers).await;
    let client = Client::http1(&server);
    client.post("/", Some("k"), "").await;
    assert_eq!(client.post("/", Some("k"), "").await.header("set-cookie"), Some("session=1"));
}

#[tokio::test]
async fn a_header_can_be_left_out() {
    let server = serve(|layer| layer.skip_header(LOCATION), with_headers).await;
    let client = Client::http1(&server);
    client.post("/", Some("k"), "").await;
    let replay = client.post("/", Some("k"), "").await;
    assert!(replay.is_replayed());
    assert_eq!((replay.header("location"), replay.header("x-twice")), (None, Some("a")));
}

/// A body that does not say how long it is.
struct Streaming(u8);

impl http_body::Body for Streaming {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0 -= 1;
        let frame = (self.0 > 0).then(|| Ok(http_body::Frame::data(Bytes::from_static(b"drop "))));
        Poll::Ready(frame)
    }
}

#[tokio::test]
async fn what_streams_or_is_too_large_passes_and_says_that_it_does_not_replay() {
    let answer = async |_, body: String| match body.as_str() {
        "stream" => Response::new(Body::new(Streaming(4))),
        "large" => Response::new(Body::from(vec![b'x'; (1 << 20) + 1])),
        // Stored, its head would come before it.
        "full" => Response::new(Body::from(vec![b'x'; 1 << 20])),
        _ => Response::new(Body::from(vec![b'x'; (1 << 20) - 4_096])),
    };
    let server = serve(|layer| layer, answer).await;
    let client = Client::http1(&server);
    for (body, length) in [("stream", 15), ("large", (1 << 20) + 1), ("full", 1 << 20)] {
        let first = client.post("/", Some(body), body).await;
        assert_eq!(first.status, 200);
        assert_eq!(first.body.len(), length);
        assert_eq!(first.header("idempotency-replayable"), Some("false"));
        assert_eq!(first.header("idempotency-retention"), None);
        let second = client.post("/", Some(body), body).await;
        second.is_problem(409, "answer-not-kept");
        assert_eq!(second.header("retry-after"), None);
    }
    let just = client.post("/", Some("k"), "just").await;
    let again = client.post("/", Some("k"), "just").await;
    assert!(again.is_replayed() && again.body == just.body);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_anything_runs() {
    let answer = async |number: usize, _| number.to_string().into_response();
    let server = serve(|layer| layer.body_limit(8), answer).await;
    let client = Client::http1(&server);
    client.post("/", Some("k"), "123456789").await.is_problem(413, "body-too-large");
    let chunked = Body::new(Streaming(4));
    client.post("/", Some("k"), chunked).await.is_problem(413, "body-too-large");
    assert_eq!(client.post("/", Some("k"), "12345678").await.text(), "1");
}

/// The layer is tower's, and any server's: here without axum.
#[tokio::test]
async fn a_service_without_axum_is_protected_as_well() {
    use tower_layer::Layer;
    use tower_service::Service;

    let ran = Counter::default();
    let counter = ran.clone();
    let service = tower_fn(move |_: http::Request<Full<Bytes>>| {
        let number = counter.up();
        async move { Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::from(number.to_string()))) }
    });
    let layer = IdempotencyLayer::new(&memory().await, |_| "everyone".to_owned());
    let mut service = layer.layer(service);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = http::Request::post("/").header("idempotency-key", "k");
        let request = request.body(Full::from("a")).unwrap();
        let response: http::Response<Full<Bytes>> = service.call(request).await.unwrap();
        answers.push(response.headers().get("idempotency-replayed").cloned());
    }
    assert_eq!(answers, [None, Some(HeaderValue::from_static("true"))]);
    assert_eq!(ran.count(), 1);
}

/// A function as a service.
fn tower_fn<F>(function: F) -> FnService<F> {
    FnService(function)
}

#[derive(Clone)]
struct FnService<F>(F);

impl<F, Fut, R> tower_service::Service<http::Request<Full<Bytes>>> for FnService<F>
where
    F: FnMut(http::Request<Full<Bytes>>) -> Fut,
    Fut: Future<Output = Result<R, Infallible>>,
{
    type Response = R;
    type Error = Infallible;
    type Future = Fut;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Full<Bytes>>) -> Fut {
        (self.0)(request)
    }
}
