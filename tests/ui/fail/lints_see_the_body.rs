#![deny(warnings)]

use oncely::idempotent;

#[idempotent(skip(clock))]
pub async fn pay(id: u64, clock: u64) -> Result<u64, oncely::Error> {
    let mut total = id;
    let unused = 3;
    Ok(total)
}

fn main() {}
