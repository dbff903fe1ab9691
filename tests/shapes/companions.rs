//! Other attributes beside ours: tracing, axum, `cfg`, documentation and lints.
#![allow(clippy::non_minimal_cfg, clippy::mixed_attributes_style)]

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use oncely::{Error, idempotent, with_lock};
use serde::{Deserialize, Serialize};

use crate::{excludes, replays, saw};

#[tracing::instrument]
#[idempotent(key = "<order>")]
async fn traced_above(order: u64) -> Result<u64, Error> {
    saw(order);
    Ok(order)
}

#[idempotent(key = "call:<order>")]
#[tracing::instrument(skip(order), ret, err)]
#[with_lock(key = "<order>", wait = "0s")]
async fn traced_between(order: u64) -> Result<u64, Error> {
    saw(order);
    Ok(order)
}

#[tokio::test]
async fn tracing_above_and_below() {
    replays(async || traced_above(7).await, 7, "7 | 7").await;
    excludes("7", async || traced_between(7).await, 7, "call:7 | 7").await;
}

#[derive(Clone)]
struct Shop;

#[derive(Deserialize, Serialize)]
struct Dto {
    order: u64,
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Refused(#[from] Error);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        self.0.to_string().into_response()
    }
}

impl From<Refused> for crate::Failure {
    fn from(refused: Refused) -> Self {
        refused.0.into()
    }
}

#[axum::debug_handler(state = Shop)]
#[idempotent(key = "<dto.order>", skip(shop))]
async fn handler(State(shop): State<Shop>, Json(dto): Json<Dto>) -> Result<String, Refused> {
    let Shop = shop;
    saw(dto.order);
    Ok(dto.order.to_string())
}

#[with_lock(key = "<order>", wait = "0s")]
#[axum::debug_handler]
async fn handler_below(Json(Dto { order }): Json<Dto>) -> Result<String, Refused> {
    saw(order);
    Ok(order.to_string())
}

#[tokio::test]
async fn handlers_of_axum() {
    let call = async || handler(State(Shop), Json(Dto { order: 7 })).await;
    replays(call, "7".into(), "7 | 7").await;
    let call = async || handler_below(Json(Dto { order: 7 })).await;
    excludes("7", call, "7".into(), "7 | 7").await;
    let _: axum::Router =
        axum::Router::new().route("/", axum::routing::post(handler)).with_state(Shop);
}

#[idempotent(key = "<order>")]
async fn argument_by_cfg(
    order: u64,
    #[cfg(all())] there: u64,
    #[cfg(any())] absent: Missing,
) -> Result<u64, Error> {
    saw(format_args!("{order} {there}"));
    Ok(there)
}

#[cfg(any())]
#[idempotent(nonsense)]
async fn absent(order: Missing) {}

#[cfg(all())]
#[with_lock(key = "<order>", wait = "0s")]
#[cfg(all())]
async fn present(order: u64) -> Result<u64, Error> {
    saw(order);
    Ok(order)
}

#[cfg_attr(all(), idempotent(key = "<order>"))]
#[cfg_attr(any(), with_lock(nonsense))]
async fn by_cfg_attr(order: u64) -> Result<u64, Error> {
    saw(order);
    Ok(order)
}

#[idempotent(key = "call:<order>")]
#[cfg_attr(all(), with_lock(key = "<order>", wait = "0s"))]
async fn both_by_cfg_attr(order: u64) -> Result<u64, Error> {
    saw(order);
    Ok(order)
}

#[tokio::test]
async fn what_is_there_by_configuration() {
    replays(async || argument_by_cfg(1, 7).await, 7, "1 | 1 7").await;
    excludes("7", async || present(7).await, 7, "7 | 7").await;
    replays(async || by_cfg_attr(7).await, 7, "7 | 7").await;
    excludes("7", async || both_by_cfg_attr(7).await, 7, "call:7 | 7").await;
    replays(async || both_by_cfg_attr(7).await, 7, "call:7 | 7").await;
}

/// Documentation above.
#[idempotent(key = "<order>")]
/// Documentation below.
#[must_use = "it stays"]
#[expect(non_snake_case, reason = "lints look at the function")]
#[inline]
async fn documented(order: u64, Name: String) -> Result<u64, Error> {
    #![expect(unused_variables, reason = "and at its body")]
    let unused = order;
    saw(format_args!("{order} {Name}"));
    Ok(order)
}

#[tokio::test]
async fn documentation_and_lints_stay() {
    replays(async || documented(7, "n".into()).await, 7, "7 | 7 n").await;
}
