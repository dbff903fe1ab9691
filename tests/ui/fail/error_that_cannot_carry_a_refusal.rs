use oncely::{idempotent, with_lock};

struct PayError;

#[idempotent]
async fn pay(id: u64) -> Result<u64, PayError> {
    Ok(id)
}

#[with_lock(key = "order:<id>")]
async fn ship(id: u64) -> Result<u64, PayError> {
    Ok(id)
}

fn main() {}
