//! Two callers with one key: neither gets the other's answer, whichever way the service is made.

use axum::extract::FromRequestParts;
use axum::routing::post;
use axum::{Json, Router};
use http::request::Parts;
use http::{Method, StatusCode};
use oncely::http::{IdempotencyKey, IdempotencyLayer, ReplayedLayer};
use oncely::{Unfingerprinted, idempotent};
use oncely_tests::Counter;
use serde::Serialize;

use crate::client::{Answer, Client};
use crate::service::{Server, memory, through};

/// Who calls, as an extractor of the application's own.
struct User {
    id: String,
}

impl Unfingerprinted for User {}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        user_of(parts).map(|id| Self { id }).ok_or(StatusCode::UNAUTHORIZED)
    }
}

fn user_of(request: &Parts) -> Option<String> {
    request.headers.get("x-user").map(|user| user.to_str().unwrap().to_owned())
}

#[idempotent(scope = "<user.id>")]
async fn annotated(key: IdempotencyKey, user: User) -> Result<Json<String>, oncely::Error> {
    Ok(Json(format!("{} {key}", user.id)))
}

/// A caller that can be compared, and is left out by name.
#[derive(Serialize)]
struct Tenant {
    id: String,
    session: usize,
}

impl<S: Sync> FromRequestParts<S> for Tenant {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        static SESSIONS: std::sync::LazyLock<Counter> = std::sync::LazyLock::new(Counter::default);
        let User { id } = User::from_request_parts(parts, state).await?;
        Ok(Self { id, session: SESSIONS.up() })
    }
}

#[idempotent(scope = "tenant <tenant.id>", skip(tenant))]
async fn of_a_tenant(key: IdempotencyKey, tenant: Tenant) -> Result<Json<String>, oncely::Error> {
    let _ = tenant.session;
    Ok(Json(format!("{} {key}", tenant.id)))
}

async fn by_the_layer(user: User) -> String {
    format!("{} pays", user.id)
}

async fn serve() -> Server {
    let oncely = memory().await;
    let layer = IdempotencyLayer::new(&oncely, user_of);
    let router = Router::new()
        .route("/annotated", post(annotated))
        .route("/tenant", post(of_a_tenant))
        .route("/layer", post(by_the_layer).layer(layer))
        .layer(ReplayedLayer);
    Server::start(through(&oncely, router)).await
}

async fn ask(client: &Client, path: &str, user: &str) -> Answer {
    let headers = [("idempotency-key", "k-1"), ("x-user", user)];
    client.send(Method::POST, path, headers, "").await
}

#[tokio::test]
async fn the_same_key_of_two_callers_never_meets() {
    let server = serve().await;
    let client = Client::http1(&server);
    for path in ["/annotated", "/tenant", "/layer"] {
        let users = ["ann", "bob", "ann/k-1", "ann%2F", "ANN"];
        for user in users {
            let first = ask(&client, path, user).await;
            assert_eq!(first.status, 200, "{path} {user}: {first:?}");
            assert!(!first.is_replayed(), "{path}: {user} got another's answer");
        }
        for user in users {
            let replay = ask(&client, path, user).await;
            assert!(replay.is_replayed(), "{path} {user}");
            assert!(replay.text().trim_matches('"').starts_with(user), "{path} {user}: {replay:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_who_is_not_known_is_refused_and_nothing_is_stored_for_everybody() {
    let server = serve().await;
    let client = Client::http1(&server);
    client.post("/layer", Some("k-1"), "").await.is_problem(401, "unknown-caller");
    ask(&client, "/layer", "").await.is_problem(401, "unknown-caller");
    ask(&client, "/annotated", "").await.is_problem(400, "malformed-key");
    // Without a key there is nothing to tell apart: the service itself decides.
    assert_eq!(client.post("/layer", None, "").await.status, 401);
}
