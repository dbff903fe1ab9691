use oncely::{idempotent, with_lock};

#[idempotent(retension = "1h")]
async fn slip(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(ttl = "1h")]
async fn word_of_another_library(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<id>", retention = "1h")]
async fn option_of_the_other_attribute(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<id>", ttl = "1h")]
async fn word_of_another_lock(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock("order:<id>")]
async fn no_name(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
