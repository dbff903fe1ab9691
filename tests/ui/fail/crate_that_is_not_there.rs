#[oncely::idempotent(crate = "once")]
async fn pay(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
