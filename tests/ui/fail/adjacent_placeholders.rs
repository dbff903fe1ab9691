use oncely::idempotent;

#[idempotent(key = "<shop><order>")]
async fn pay(shop: u64, order: u64) -> Result<u64, oncely::Error> {
    Ok(shop + order)
}

fn main() {}
