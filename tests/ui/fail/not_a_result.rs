use oncely::{idempotent, with_lock};

#[idempotent]
async fn text(id: u64) -> String {
    id.to_string()
}

#[idempotent]
async fn option(id: u64) -> Option<u64> {
    Some(id)
}

#[with_lock(key = "order:<id>")]
async fn nothing(id: u64) {
    drop(id);
}

#[with_lock(key = "order:<id>")]
async fn tuple(id: u64) -> (u64, u64) {
    (id, id)
}

fn main() {}
