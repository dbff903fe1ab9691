use oncely::idempotent;

#[idempotent(coordinator = "memory:")]
async fn pay(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
