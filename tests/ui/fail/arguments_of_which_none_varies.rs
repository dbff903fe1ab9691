use axum::extract::{Extension, State};
use oncely::idempotent;

struct Bank;
struct Session;

#[idempotent]
async fn report(
    State(bank): State<Bank>,
    Extension(session): Extension<Session>,
) -> Result<u64, oncely::Error> {
    let _ = (bank, session);
    Ok(7)
}

fn main() {}
