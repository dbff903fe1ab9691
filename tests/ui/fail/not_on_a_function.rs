use oncely::{idempotent, with_lock};

#[idempotent]
struct Order {
    id: u64,
}

#[with_lock(key = "order")]
mod orders {}

#[with_lock(key = "order")]
const ORDER: u64 = 1;

trait Payments {
    #[idempotent]
    async fn pay(&self, id: u64) -> Result<u64, oncely::Error>;
}

fn main() {}
