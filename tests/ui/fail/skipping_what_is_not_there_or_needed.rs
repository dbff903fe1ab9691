use oncely::idempotent;

#[idempotent(skip(clok))]
async fn unknown(id: u64, clock: u64) -> Result<u64, oncely::Error> {
    Ok(id + clock)
}

#[idempotent(key = "order:<id>", skip(id))]
async fn used_by_the_key(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

#[idempotent(skip(clock, clock, self))]
async fn twice(id: u64, clock: u64) -> Result<u64, oncely::Error> {
    Ok(id + clock)
}

#[idempotent(skip("clock"))]
async fn in_quotes(id: u64, clock: u64) -> Result<u64, oncely::Error> {
    Ok(id + clock)
}

#[idempotent(skip = "clock")]
async fn as_a_value(id: u64, clock: u64) -> Result<u64, oncely::Error> {
    Ok(id + clock)
}

fn main() {}
