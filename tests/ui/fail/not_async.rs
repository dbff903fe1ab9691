use oncely::{idempotent, with_lock};

#[idempotent]
fn pay(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<id>")]
fn ship(id: u64) -> impl Future<Output = Result<u64, oncely::Error>> {
    async move { Ok(id) }
}

fn main() {}
