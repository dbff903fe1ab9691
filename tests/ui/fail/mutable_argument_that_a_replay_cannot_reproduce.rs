use oncely::idempotent;

#[idempotent(key = "cart:<id>")]
async fn pay(id: u64, cart: &mut Vec<u64>) -> Result<u64, oncely::Error> {
    cart.push(id);
    Ok(id)
}

#[idempotent]
async fn in_a_tuple((cart, id): (&mut u64, u64)) -> Result<u64, oncely::Error> {
    *cart += id;
    Ok(id)
}

#[idempotent]
async fn in_another_type(cart: Option<&mut u64>) -> Result<u64, oncely::Error> {
    Ok(cart.map_or(0, |cart| *cart))
}

#[idempotent]
async fn behind_a_reference(carts: &[(u64, &mut u64)]) -> Result<usize, oncely::Error> {
    Ok(carts.len())
}

fn main() {}
