//! Annotated handlers as they are written without us: what they take, and what they give.

use axum::extract::{Extension, Path, Query, State};
use axum::response::{Html, IntoResponse, NoContent, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use oncely::http::{IdempotencyKey, ReplayedLayer, StoreHeaders};
use oncely::idempotent;
use oncely_tests::Counter;
use serde::{Deserialize, Serialize};

use crate::client::{Answer, Client};
use crate::service::{Server, memory, through};

/// What a service has and nobody can compare.
#[derive(Clone)]
struct Bank {
    charged: Counter,
}

#[derive(Clone)]
struct Session;

#[derive(Serialize, Deserialize)]
struct CreatePayment {
    order_id: u64,
    cents: u64,
}

#[derive(Serialize, Deserialize)]
struct Payment {
    number: usize,
    cents: u64,
}

#[derive(Deserialize, Serialize)]
struct Options {
    notify: Option<bool>,
}

/// An application's own error: one line carries ours.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error(transparent)]
    Refused(#[from] oncely::Error),
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(error) => error.into_response(),
        }
    }
}

#[idempotent]
#[allow(clippy::too_many_arguments)]
async fn everything(
    key: IdempotencyKey,
    State(bank): State<Bank>,
    Extension(Session): Extension<Session>,
    Path(shop): Path<String>,
    query: Query<Options>,
    headers: HeaderMap,
    method: Method,
    uri: Uri,
    Json(payment): Json<CreatePayment>,
) -> Result<Json<Payment>, ApiError> {
    assert_eq!(oncely::current().unwrap().key(), key.as_str());
    let _ = (shop, query.notify, headers, method, uri, payment.order_id);
    Ok(Json(Payment { number: bank.charged.up(), cents: payment.cents }))
}

#[axum::debug_handler(state = Bank)]
#[idempotent]
async fn debugged_above(
    key: IdempotencyKey,
    State(bank): State<Bank>,
    body: Json<CreatePayment>,
) -> Result<(StatusCode, [(HeaderName, String); 2], Json<Payment>), ApiError> {
    let number = bank.charged.up();
    let headers = [(LOCATION, format!("/payments/{key}")), (SET_COOKIE, "secret".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(Payment { number, cents: body.cents })))
}

#[idempotent(detached)]
#[axum::debug_handler(state = Bank)]
async fn debugged_below(
    key: IdempotencyKey,
    State(bank): State<Bank>,
    body: Bytes,
) -> Result<Response, oncely::Error> {
    let (number, length) = (bank.charged.up(), body.len());
    let mut response = format!("{key} {number} \u{2713} {length}").into_response();
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("/elsewhere"));
    headers.append(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    headers.insert(SET_COOKIE, HeaderValue::from_static("secret"));
    Ok(response)
}

#[idempotent]
async fn with_cookie(key: IdempotencyKey) -> Result<Response, oncely::Error> {
    let mut response = key.to_string().into_response();
    response.headers_mut().insert(SET_COOKIE, HeaderValue::from_static("wanted"));
    response.extensions_mut().insert(StoreHeaders::new([SET_COOKIE]));
    Ok(response)
}

#[idempotent]
async fn header_map(
    _key: IdempotencyKey,
    State(bank): State<Bank>,
) -> Result<(StatusCode, HeaderMap, Html<String>), oncely::Error> {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_static("/here"));
    Ok((StatusCode::OK, headers, Html(format!("<b>{}</b>", bank.charged.up()))))
}

#[idempotent]
async fn nothing(
    _: IdempotencyKey,
    State(bank): State<Bank>,
    n: Json<u8>,
) -> Result<NoContent, ApiError> {
    let _ = (bank.charged.up(), n);
    Ok(NoContent)
}

#[idempotent]
async fn text(key: IdempotencyKey, State(bank): State<Bank>) -> Result<String, ApiError> {
    Ok(format!("{key} {}", bank.charged.up()))
}

#[idempotent]
async fn optional(
    key: Option<IdempotencyKey>,
    State(bank): State<Bank>,
    Json(payment): Json<CreatePayment>,
) -> Result<Json<Payment>, ApiError> {
    let call = oncely::current().unwrap();
    assert_eq!(call.is_protected(), key.is_some());
    Ok(Json(Payment { number: bank.charged.up(), cents: payment.cents }))
}

#[idempotent(key = "order:<payment.order_id>")]
async fn templated(
    _key: IdempotencyKey,
    State(bank): State<Bank>,
    Json(payment): Json<CreatePayment>,
) -> Result<Json<Payment>, ApiError> {
    assert_eq!(oncely::current().unwrap().key(), format!("order:{}", payment.order_id));
    Ok(Json(Payment { number: bank.charged.up(), cents: payment.cents }))
}

const BODY: &str = r#"{"order_id":7,"cents":1200}"#;

struct Shop {
    server: Server,
    charged: Counter,
}

impl Shop {
    async fn open() -> Self {
        let charged = Counter::default();
        let router = Router::new()
            .route("/everything/{shop}", post(everything))
            .route("/above", post(debugged_above))
            .route("/below", post(debugged_below))
            .route("/cookie", post(with_cookie))
            .route("/map", post(header_map))
            .route("/nothing", post(nothing))
            .route("/text", post(text))
            .route("/optional", post(optional))
            .route("/templated", post(templated))
            .layer(Extension(Session))
            .layer(ReplayedLayer)
            .with_state(Bank { charged: charged.clone() });
        Self { server: Server::start(through(&memory().await, router)).await, charged }
    }

    /// The same request twice: its two answers, the second of which is a replay of the first.
    async fn twice(&self, path: &str, body: &'static str) -> [Answer; 2] {
        let client = Client::http1(&self.server);
        let first = client.post(path, Some("\"k-1\""), body).await;
        let second = client.post(path, Some("k-1"), body).await;
        assert!(first.status.is_success(), "{first:?}");
        assert!(!first.is_replayed() && second.is_replayed(), "{second:?}");
        assert_eq!((first.status, &first.body), (second.status, &second.body));
        assert_eq!(first.header("content-type"), second.header("content-type"));
        [first, second]
    }
}

#[tokio::test]
async fn the_key_is_the_key_and_the_other_arguments_are_the_fingerprint() {
    let shop = Shop::open().await;
    let [first, _] = shop.twice("/everything/a?notify=true", BODY).await;
    assert_eq!(first.text(), r#"{"number":1,"cents":1200}"#);

    let client = Client::http1(&shop.server);
    for (path, body) in [
        ("/everything/a?notify=true", r#"{"order_id":7,"cents":9900}"#),
        ("/everything/b?notify=true", BODY),
        ("/everything/a?notify=false", BODY),
    ] {
        client.post(path, Some("k-1"), body).await.is_problem(422, "key-reused");
    }
    let headers = [("idempotency-key", "k-1"), ("x-trace", "another")];
    let replay = client.send(Method::POST, "/everything/a?notify=true", headers, BODY).await;
    assert!(replay.is_replayed(), "headers say nothing of what a request is about");
    assert_eq!(shop.charged.count(), 1);
    let another = client.post("/everything/a?notify=true", Some("k-2"), BODY).await;
    assert_eq!(another.text(), r#"{"number":2,"cents":1200}"#);
}

#[tokio::test]
async fn status_headers_and_json_replay() {
    let shop = Shop::open().await;
    let [first, second] = shop.twice("/above", BODY).await;
    assert_eq!(first.status, 201);
    assert_eq!(second.header("location"), Some("/payments/k-1"));
    assert_eq!(first.header("set-cookie"), Some("secret"));
    assert_eq!(second.header("set-cookie"), None);
    assert_eq!(shop.charged.count(), 1);
}

#[tokio::test]
async fn a_response_replays_byte_for_byte_without_its_secrets() {
    let shop = Shop::open().await;
    let [first, second] = shop.twice("/below", BODY).await;
    assert_eq!(first.text(), "k-1 1 \u{2713} 27");
    assert_eq!(second.status, 202);
    assert_eq!(second.header("location"), Some("/elsewhere"));
    let all: Vec<_> = second.headers.get_all("cache-control").iter().collect();
    assert_eq!(all, ["no-store", "private"]);
    assert_eq!(first.header("set-cookie"), Some("secret"));
    assert_eq!(second.header("set-cookie"), None);
}

#[tokio::test]
async fn a_cookie_that_is_asked_for_is_stored() {
    let [_, second] = Shop::open().await.twice("/cookie", "").await;
    assert_eq!(second.header("set-cookie"), Some("wanted"));
}

#[tokio::test]
async fn every_other_shape_of_a_response_replays() {
    let shop = Shop::open().await;
    let [first, second] = shop.twice("/map", "").await;
    assert_eq!((first.text(), second.header("location")), ("<b>1</b>", Some("/here")));
    let [first, _] = shop.twice("/nothing", "1").await;
    assert_eq!((first.status.as_u16(), first.text()), (204, ""));
    let [first, _] = shop.twice("/text", "").await;
    assert_eq!(first.text(), "k-1 3");
}

#[tokio::test]
async fn a_required_key_that_is_missing_or_malformed_is_a_problem_and_runs_nothing() {
    let shop = Shop::open().await;
    let client = Client::http1(&shop.server);
    client.post("/text", None, "").await.is_problem(400, "missing-key");
    client.post("/text", Some("\"a"), "").await.is_problem(400, "malformed-key");
    client.post("/optional", Some("a b"), BODY).await.is_problem(400, "malformed-key");
    assert_eq!(shop.charged.count(), 0);
}

#[tokio::test]
async fn an_optional_key_protects_where_there_is_one() {
    let shop = Shop::open().await;
    shop.twice("/optional", BODY).await;
    let client = Client::http1(&shop.server);
    for number in [2, 3] {
        let answer = client.post("/optional", None, BODY).await;
        assert_eq!(answer.text(), format!(r#"{{"number":{number},"cents":1200}}"#));
        assert!(!answer.is_replayed());
    }
}

#[tokio::test]
async fn a_key_that_the_attribute_spells_goes_before_the_header() {
    let shop = Shop::open().await;
    let client = Client::http1(&shop.server);
    client.post("/templated", Some("a"), BODY).await;
    let second = client.post("/templated", Some("b"), BODY).await;
    assert!(second.is_replayed());
    assert_eq!(shop.charged.count(), 1);
}
