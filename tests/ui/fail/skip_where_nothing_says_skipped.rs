use oncely::{idempotent, with_lock};

#[with_lock(key = "order:<id>", on_busy = "skip")]
async fn ship(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent]
#[with_lock(key = "order:<id>", on_busy = "skip")]
async fn both(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
