//! The client's side: requests that are sent again with one key, until they are answered.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oncely::http::{IdempotencyLayer, Retry, Retrying};
use oncely_tests::{Counter, Stage, ms, secs, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

use crate::service::{Server, memory};

type Http = Retrying<Client<HttpConnector, Full<Bytes>>>;

fn client(retry: Retry) -> Http {
    retry.layer(Client::builder(TokioExecutor::new()).build_http())
}

fn quick() -> Retry {
    Retry::new().first_pause(ms(5)).longest_pause(ms(50))
}

async fn send(client: &Http, method: Method, url: &str) -> Result<(StatusCode, String), String> {
    let request = Request::builder().method(method).uri(url).body(Full::from("body")).unwrap();
    let response = soon(client.clone().call(request)).await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// A service that says what a test wants it to say, in turn, and what it was asked.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<Vec<Response>>>,
    keys: Arc<Mutex<Vec<Option<String>>>>,
}

impl Script {
    async fn play(answers: impl IntoIterator<Item = Response>) -> (Self, Server) {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers);
        let router = Router::new().route("/", any(next)).with_state(script.clone());
        (script, Server::start(router).await)
    }

    /// The keys it was asked with.
    fn keys(&self) -> Vec<Option<String>> {
        self.keys.lock().unwrap().clone()
    }
}

async fn next(State(script): State<Script>, request: Request) -> Response {
    let key = request.headers().get("idempotency-key");
    script.keys.lock().unwrap().push(key.map(|key| key.to_str().unwrap().to_owned()));
    let mut answers = script.answers.lock().unwrap();
    if answers.is_empty() { "done".into_response() } else { answers.remove(0) }
}

fn busy(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("retry-after", "0")]).into_response()
}

#[tokio::test]
async fn a_request_is_sent_again_with_the_same_key_until_it_is_answered() {
    let unavailable = StatusCode::SERVICE_UNAVAILABLE.into_response();
    let (script, server) = Script::play([busy(409), unavailable, busy(423), busy(429)]).await;
    let answer = send(&client(quick()), Method::POST, &server.url("/")).await;
    assert_eq!(answer, Ok((StatusCode::OK, "done".to_owned())));
    let keys = script.keys();
    assert_eq!(keys.len(), 5);
    assert!(keys[0].as_ref().is_some_and(|key| key.len() == 34 && key.starts_with('"')));
    assert!(keys.iter().all(|key| key == &keys[0]), "{keys:?}");
    send(&client(quick()), Method::POST, &server.url("/")).await.unwrap();
    assert_ne!(script.keys()[5], keys[0], "another request has another key");
}

#[tokio::test]
async fn an_answer_is_an_answer() {
    for status in [400, 404, 422, 500, 502] {
        let status = StatusCode::from_u16(status).unwrap();
        let (script, server) = Script::play([status.into_response()]).await;
        let answer = send(&client(quick()), Method::POST, &server.url("/")).await;
        assert_eq!(answer.unwrap().0, status);
        assert_eq!(script.keys().len(), 1);
    }
    // A conflict that does not pass.
    let (script, server) = Script::play([StatusCode::CONFLICT.into_response()]).await;
    let answer = send(&client(quick()), Method::POST, &server.url("/")).await;
    assert_eq!((answer.unwrap().0.as_u16(), script.keys().len()), (409, 1));
}

#[tokio::test]
async fn tries_are_bounded_and_the_last_answer_is_the_answer() {
    let (script, server) = Script::play((0..10).map(|_| busy(503))).await;
    let answer = send(&client(quick().tries(3)), Method::POST, &server.url("/")).await;
    assert_eq!((answer.unwrap().0.as_u16(), script.keys().len()), (503, 3));
}

#[tokio::test]
async fn a_service_is_given_the_time_it_asks_for() {
    let answer = (StatusCode::CONFLICT, [("retry-after", "1")]).into_response();
    let (_, server) = Script::play([answer]).await;
    let began = Instant::now();
    let retry = Retry::new().first_pause(ms(1)).longest_pause(secs(5));
    send(&client(retry), Method::POST, &server.url("/")).await.unwrap();
    assert!(began.elapsed() >= secs(1));
}

#[tokio::test]
async fn only_methods_that_need_a_key_get_one() {
    let (script, server) = Script::play([busy(503)]).await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        send(&client(quick()), method, &server.url("/")).await.unwrap();
    }
    assert_eq!(script.keys(), [None, None, None, None]);
    send(&client(quick()), Method::PATCH, &server.url("/")).await.unwrap();
    assert!(script.keys()[4].is_some());
}

/// The connection ends before an answer, twice; the third time there is one.
#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let answers = async {
        let mut keys = Vec::new();
        for number in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"body") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let text = String::from_utf8(request).unwrap();
            let key = text.lines().find(|line| line.starts_with("idempotency-key")).unwrap();
            keys.push(key.to_owned());
            if number == 2 {
                let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        }
        keys
    };
    let client = client(quick());
    let (answer, keys) = tokio::join!(send(&client, Method::POST, &url), answers);
    assert_eq!(answer.unwrap().0, 201);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_an_error_in_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    assert!(send(&client(quick().tries(2)), Method::POST, &url).await.is_err());
}

/// Both sides together: the client's tries meet their own first request, and charge once.
#[tokio::test]
async fn a_client_that_retries_against_the_layer_has_one_effect() {
    let (ran, stage) = (Counter::default(), Stage::default());
    let (counter, waits) = (ran.clone(), stage.clone());
    let handler = move || {
        let (number, waits) = (counter.up(), waits.clone());
        async move {
            waits.enter().await;
            Body::from(number.to_string())
        }
    };
    let layer = IdempotencyLayer::new(&memory().await, |_| "everyone".to_owned()).wait(ms(0));
    let server = Server::start(Router::new().route("/", any(handler)).layer(layer)).await;
    let url = server.url("/");

    // The first try is dropped by a client that has no patience; the service goes on.
    let request = |key| {
        let request = Request::post(&url).header("idempotency-key", key);
        request.body(Full::from("body")).unwrap()
    };
    let mut retrying = client(quick().tries(50));
    tokio::select! {
        _ = retrying.call(request("k")) => panic!("it waits"),
        () = stage.entered() => {}
    }
    let opens = async {
        tokio::time::sleep(ms(60)).await;
        stage.open();
    };
    let (answer, ()) = tokio::join!(soon(retrying.call(request("k"))), opens);
    assert_eq!(answer.unwrap().headers()["idempotency-replayed"], "true");
    assert_eq!(ran.count(), 1);
}
