use axum::Json;
use axum::http::StatusCode;
use oncely::http::IdempotencyKey;
use oncely::idempotent;
use serde::Serialize;

#[derive(Serialize)]
struct Payment {
    id: u64,
}

#[idempotent]
async fn only_written(key: IdempotencyKey) -> Result<Json<Payment>, oncely::Error> {
    Ok(Json(Payment { id: 7 }))
}

#[idempotent]
async fn behind_a_status(
    key: IdempotencyKey,
) -> Result<(StatusCode, Json<Payment>), oncely::Error> {
    Ok((StatusCode::CREATED, Json(Payment { id: 7 })))
}

#[idempotent]
async fn borrowed(key: IdempotencyKey) -> Result<(StatusCode, &'static str), oncely::Error> {
    Ok((StatusCode::CREATED, "created"))
}

fn main() {}
