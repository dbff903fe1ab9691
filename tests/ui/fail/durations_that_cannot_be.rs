use oncely::{idempotent, with_lock};

#[idempotent(wait = "30")]
async fn no_unit(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(wait = 30)]
async fn number(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(wait = 30s)]
async fn no_quotes(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(wait = "1.5s")]
async fn fraction(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(lease = "0s")]
async fn zero_lease(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(retention = "0h")]
async fn zero_retention(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(lease = "5ms")]
async fn lease_too_short_to_keep(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(retention = "9ms")]
async fn retention_too_short_to_keep_a_lease(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<id>", max_hold = "1ms")]
async fn max_hold_too_short_to_keep_a_lease(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[with_lock(key = "order:<id>", lease = "2m", max_hold = "1m")]
async fn lease_beyond_max_hold(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(lease = "1h", max_hold = "2h", retention = "30m")]
async fn lease_beyond_retention(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(lease = "2h")]
async fn lease_beyond_the_default_max_hold(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
