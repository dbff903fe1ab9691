//! The service over HTTP: from requests to calls.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use oncely::http::{IdempotencyKey, ReplayedLayer};
use oncely::{idempotent, with_lock};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::PaymentError;
use crate::ledger::Entry;
use crate::service::{PaymentRequest, Payments, Receipt, Shipment};

type Answer<T> = Result<Json<T>, PaymentError>;

pub(crate) fn router(payments: Payments) -> Router {
    Router::new()
        .route("/payments", post(pay))
        .route("/transfers", post(transfer))
        .route("/transfers/resolve", post(resolve_transfer))
        .route("/orders/{id}/ship", post(ship))
        .route("/ledger", get(ledger))
        .layer(ReplayedLayer)
        .with_state(payments)
}

/// The `Idempotency-Key` keeps the payment from running twice, the lock keeps two payments from both
/// finding the order unpaid. An interrupted call is run again, which is safe because every attempt
/// hands the processor the same key.
#[idempotent(operation = "pay", lease = "2s")]
#[with_lock(key = "order:<request.order_id>", lease = "2s")]
async fn pay(
    _key: IdempotencyKey,
    State(payments): State<Payments>,
    Json(request): Json<PaymentRequest>,
) -> Answer<Receipt> {
    payments.pay(request).await.map(Json)
}

/// The bank takes no key, so nobody but a person can say what an interrupted call has done: it is
/// held until someone did.
#[idempotent(operation = "transfer", lease = "2s", on_interrupted = "hold")]
async fn transfer(
    _key: IdempotencyKey,
    State(payments): State<Payments>,
    Json(request): Json<PaymentRequest>,
) -> Answer<Receipt> {
    payments.transfer(request).await.map(Json)
}

#[derive(Deserialize)]
struct Resolution {
    key: String,
    /// `null`: the transfer never happened.
    receipt: Option<Receipt>,
}

/// For operators; a real service would ask who they are.
async fn resolve_transfer(
    State(payments): State<Payments>,
    Json(Resolution { key, receipt }): Json<Resolution>,
) -> Answer<Value> {
    let resolved = payments.resolve_transfer(&key, receipt).await?;
    Ok(Json(json!({ "resolved": resolved })))
}

async fn ship(State(payments): State<Payments>, Path(order_id): Path<String>) -> Answer<Shipment> {
    payments.ship(&order_id).await.map(Json)
}

async fn ledger(State(payments): State<Payments>) -> Answer<Vec<Entry>> {
    payments.ledger().await.map(Json)
}
