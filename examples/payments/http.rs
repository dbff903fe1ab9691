//! The service over HTTP: from requests to calls.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
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
        .with_state(payments)
}

async fn pay(
    State(payments): State<Payments>,
    headers: HeaderMap,
    Json(request): Json<PaymentRequest>,
) -> Answer<Receipt> {
    payments.pay(idempotency_key(&headers)?, request).await.map(Json)
}

async fn transfer(
    State(payments): State<Payments>,
    headers: HeaderMap,
    Json(request): Json<PaymentRequest>,
) -> Answer<Receipt> {
    payments.transfer(idempotency_key(&headers)?, request).await.map(Json)
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

fn idempotency_key(headers: &HeaderMap) -> Result<&str, PaymentError> {
    let header = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    header.filter(|key| !key.is_empty()).ok_or(PaymentError::MissingKey)
}
