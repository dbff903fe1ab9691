use oncely::{idempotent, with_lock};

#[idempotent(key)]
async fn no_value(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(key = format!("order:{id}"))]
async fn no_literal(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(on_interrupted = "holt", on_store_error = "ignore")]
async fn no_choice(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(detached = true, skip = id, remember_errors(all))]
async fn other_shapes(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock]
async fn no_key(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(keys = "order:<id>")]
async fn no_list(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(wait = )]
async fn nothing_after_the_sign(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(wait = "1s" retention = "2h")]
async fn no_comma(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
