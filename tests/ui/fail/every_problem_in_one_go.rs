use oncely::{idempotent, with_lock};

#[idempotent(key = "pay:<order_di>:<>", wait = "5", lease = "0s", tll = "1h")]
#[with_lock(key = "order:<nobody>", on_busy = "skpi")]
fn pay(order_id: u64, cart: &mut Vec<u64>) {
    cart.push(order_id);
}

fn still_there(cart: &mut Vec<u64>) {
    pay(1, cart);
}

fn main() {}
