use oncely::idempotent;

struct Pool;

#[idempotent(tx = tx)]
async fn pay(tx: &mut Pool, id: u64) -> Result<u64, oncely::Error> {
    let _ = tx;
    Ok(id)
}

#[idempotent(begin(tx = pool))]
async fn begun(pool: u64, id: u64) -> Result<u64, oncely::Error> {
    Ok(pool + id)
}

fn main() {}
