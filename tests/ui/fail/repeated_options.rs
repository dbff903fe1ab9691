use oncely::{idempotent, with_lock};

#[idempotent(wait = "1s", wait = "2s")]
async fn option(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "a:<id>")]
#[with_lock(key = "b:<id>")]
async fn two_locks(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent]
#[idempotent(wait = "1s")]
async fn idempotent_twice(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
