//! Every refusal as a problem document: its status, its name, and when to come back.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::Method;
use oncely::http::{IdempotencyKey, IdempotencyLayer, Problem};
use oncely::{Coordinator, Error, idempotent, with_lock};
use oncely_tests::{Fixture, Stage, ms, secs, soon};

use crate::client::Client;
use crate::service::{Server, memory, through};

#[idempotent(wait = "0s", on_interrupted = "hold")]
async fn pay(
    key: IdempotencyKey,
    State(stage): State<Stage>,
    what: String,
) -> Result<Response, Error> {
    if what == "wait" {
        stage.enter().await;
    }
    let length = if what == "large" { 2 << 20 } else { 1 };
    Ok(Response::new(key.as_str().repeat(length).into()))
}

#[with_lock(key = "order:<order>", wait = "0s")]
async fn ship(order: String) -> Result<String, Error> {
    Ok(order)
}

async fn serve(coordinator: Option<&Coordinator>, stage: &Stage) -> Server {
    let router =
        Router::new().route("/pay", post(pay)).route("/ship", post(ship)).with_state(stage.clone());
    Server::start(match coordinator {
        Some(coordinator) => through(coordinator, router),
        None => router,
    })
    .await
}

#[tokio::test]
async fn in_progress_is_a_conflict_that_passes() {
    let stage = Stage::default();
    let server = serve(Some(&memory().await), &stage).await;
    let client = Client::http1(&server);
    let asks = async {
        stage.entered().await;
        let conflict = client.post("/pay", Some("k"), "wait").await;
        conflict.is_problem(409, "in-progress");
        assert_eq!(conflict.header("retry-after"), Some("1"));
        client.post("/pay", Some("k"), "other").await.is_problem(422, "key-reused");
        stage.open();
    };
    let (first, ()) = tokio::join!(client.post("/pay", Some("k"), "wait"), asks);
    assert_eq!(first.status, 200);
}

#[tokio::test]
async fn an_interruption_that_is_held_is_a_conflict_that_stays() {
    let stage = Stage::default();
    let oncely = memory().await;
    let server = serve(Some(&oncely), &stage).await;
    let client = Client::http1(&server);
    {
        let gives_up = client.post("/pay", Some("k"), "wait");
        tokio::pin!(gives_up);
        tokio::select! {
            _ = &mut gives_up => panic!("it waits"),
            () = stage.entered() => {}
        }
    }
    // The connection is closed with the client that gave up; the service hears of it.
    drop(client);
    let client = Client::http1(&server);
    soon(async {
        loop {
            let answer = client.post("/pay", Some("k"), "wait").await;
            if answer.problem() == "interrupted" {
                assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (409, None));
                return;
            }
            tokio::time::sleep(ms(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_busy_lock_is_locked_and_a_large_answer_is_not_kept() {
    let stage = Stage::default();
    let oncely = memory().await;
    let server = serve(Some(&oncely), &stage).await;
    let client = Client::http1(&server);
    let held = oncely.lock("order:7").acquire().await.unwrap();
    let busy = client.post("/ship", None, "7").await;
    busy.is_problem(423, "lock-busy");
    assert_eq!(busy.header("retry-after"), Some("1"));
    assert!(!busy.text().contains("order:7"), "locks are the service's own affair");
    held.release().await.unwrap();
    assert_eq!(client.post("/ship", None, "7").await.status, 200);

    assert_eq!(client.post("/pay", Some("k"), "large").await.body.len(), 2 << 20);
    client.post("/pay", Some("k"), "large").await.is_problem(409, "answer-not-kept");
}

#[tokio::test]
async fn a_store_that_is_down_is_unavailable_and_says_when_to_come_back() {
    let fixture = Fixture::memory().await;
    let (oncely, stage) = (fixture.coordinator(), Stage::default());
    let server = serve(Some(&oncely), &stage).await;
    let layer = IdempotencyLayer::new(&oncely, |_| "everyone".to_owned());
    let layered = Server::start(Router::new().route("/pay", post(async || "paid")).layer(layer));
    let layered = layered.await;
    fixture.store().down();
    for server in [&server, &layered] {
        let answer = Client::http1(server).post("/pay", Some("k"), "").await;
        answer.is_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    fixture.store().heal();
    assert_eq!(Client::http1(&layered).post("/pay", Some("k"), "").await.status, 200);
}

#[tokio::test]
async fn a_service_that_shuts_down_is_unavailable() {
    let (oncely, stage) = (memory().await, Stage::default());
    let server = serve(Some(&oncely), &stage).await;
    oncely.shutdown(secs(1)).await;
    let answer = Client::http1(&server).post("/pay", Some("k"), "").await;
    answer.is_problem(503, "unavailable");
}

#[tokio::test]
async fn a_service_without_a_coordinator_is_its_own_fault() {
    let server = serve(None, &Stage::default()).await;
    let answer = Client::http1(&server).post("/pay", Some("k"), "").await;
    answer.is_problem(500, "internal");
    assert!(!answer.text().contains("oncely::"), "nothing of the inside: {}", answer.text());
}

#[tokio::test]
async fn an_application_can_ask_and_say_it_in_its_own_way() {
    let error = ship("7".to_owned()).await.unwrap_err();
    let problem = Problem::from(&error);
    assert_eq!((problem.name(), problem.status().as_u16()), ("internal", 500));
    assert_eq!(problem.retry_after(), None);
    assert_eq!(problem.type_uri(), "urn:oncely:problem:internal");
}

/// What is asked for with another method is not ours to refuse.
#[tokio::test]
async fn requests_that_no_route_takes_are_answered_by_the_router() {
    let server = serve(Some(&memory().await), &Stage::default()).await;
    let answer = Client::http1(&server).send(Method::GET, "/pay", [], "").await;
    assert_eq!(answer.status, 405);
}
