#![deny(warnings)]

use oncely::{idempotent, with_lock};

#[idempotent(skip(clock))]
pub async fn pay(id: u64, clock: u64) -> Result<u64, oncely::Error> {
    let mut total = id;
    let unused = 3;
    Ok(total)
}

#[with_lock(key = "order:<id>")]
async fn never_called(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
