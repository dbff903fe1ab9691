use axum::Json;
use oncely::http::IdempotencyKey;
use oncely::idempotent;
use serde::Deserialize;

struct CurrentUser {
    id: u64,
}

#[derive(Deserialize)]
struct CreatePayment {
    cents: u64,
}

#[idempotent]
async fn custom(key: IdempotencyKey, user: CurrentUser) -> Result<u64, oncely::Error> {
    Ok(user.id)
}

#[idempotent]
async fn taken_apart(
    key: IdempotencyKey,
    Json(payment): Json<CreatePayment>,
) -> Result<u64, oncely::Error> {
    Ok(payment.cents)
}

#[idempotent]
async fn whole(key: IdempotencyKey, payment: Json<CreatePayment>) -> Result<u64, oncely::Error> {
    Ok(payment.cents)
}

fn main() {}
