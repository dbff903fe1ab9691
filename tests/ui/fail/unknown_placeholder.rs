use oncely::{idempotent, with_lock};

#[idempotent(key = "order:<order_di>")]
async fn pay(order_id: u64, amount: u64) -> Result<u64, oncely::Error> {
    Ok(order_id + amount)
}

#[with_lock(key = "order:<reqest.id>")]
async fn ship(request: String) -> Result<String, oncely::Error> {
    Ok(request)
}

#[with_lock(key = "order:<self.id>")]
async fn free(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<1>")]
async fn position(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<0>")]
async fn nameless(_: u64) -> Result<u64, oncely::Error> {
    Ok(1)
}

#[with_lock(key = "order:<0>")]
async fn several_names((left, right): (u64, u64)) -> Result<u64, oncely::Error> {
    Ok(left + right)
}

fn main() {}
