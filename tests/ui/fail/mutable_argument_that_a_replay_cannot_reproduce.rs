use oncely::idempotent;

#[idempotent(key = "cart:<id>")]
async fn pay(id: u64, cart: &mut Vec<u64>) -> Result<u64, oncely::Error> {
    cart.push(id);
    Ok(id)
}

fn main() {}
