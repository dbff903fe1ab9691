//! What handlers take and give, with and without a debugging attribute.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Extension, Form, Json, Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use oncely::http::IdempotencyKey;
use oncely::{Unfingerprinted, idempotent, with_lock};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

#[derive(Serialize, Deserialize)]
struct Dto {
    id: u64,
}

struct User {
    id: u64,
}

impl Unfingerprinted for User {}

struct Client;

#[idempotent(scope = "<user.id>")]
#[with_lock(key = "order:<dto.id>")]
async fn many(
    key: IdempotencyKey,
    State(client): State<Client>,
    Extension(other): Extension<std::sync::Arc<Client>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    Path((shop, shelf)): Path<(u64, String)>,
    Query(query): Query<Dto>,
    user: User,
    headers: HeaderMap,
    Json(dto): Json<Dto>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Dto>), oncely::Error> {
    let _ = (key, client, other, from, shop, shelf, query, user, headers);
    Ok((StatusCode::CREATED, [(axum::http::header::LOCATION, String::new())], Json(dto)))
}

#[idempotent]
async fn whole(
    key: IdempotencyKey,
    path: Path<u64>,
    query: Option<Query<Dto>>,
    form: Form<Dto>,
    bytes: Bytes,
) -> Result<Response, oncely::Error> {
    let _ = (key, path, query, form, bytes);
    Ok(Response::default())
}

#[idempotent(detached)]
async fn generic<S: Send + 'static>(
    key: IdempotencyKey,
    state: State<S>,
    dto: Json<Dto>,
) -> Result<Json<Dto>, oncely::Error> {
    drop((key, state));
    Ok(dto)
}

#[idempotent(scope = "<user.id>", skip(user))]
async fn skipping_the_caller(user: &User, id: u64) -> Result<u64, oncely::Error> {
    Ok(id + user.id)
}

#[idempotent(key = "<key>:<dto.id>")]
async fn templated(key: IdempotencyKey, dto: Dto) -> Result<Json<Option<Dto>>, oncely::Error> {
    drop(key);
    Ok(Json(Some(dto)))
}

fn main() {}
