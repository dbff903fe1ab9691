use oncely::{idempotent, with_lock};

#[with_lock(key = "a:<id>", keys = ["b:<id>"])]
async fn key_and_keys(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(detached)]
async fn detached_and_borrowed(name: &str) -> Result<usize, oncely::Error> {
    Ok(name.len())
}

#[idempotent(tx = tx, lease = "1m", detached)]
async fn transaction(tx: u64, id: u64) -> Result<u64, oncely::Error> {
    Ok(tx + id)
}

#[idempotent(coordinator = a)]
#[with_lock(key = "order:<id>", coordinator = b)]
async fn two_coordinators(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
