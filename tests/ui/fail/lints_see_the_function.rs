#![deny(warnings)]

use oncely::with_lock;

#[with_lock(key = "order:<id>")]
async fn never_called(id: u64) -> Result<u64, oncely::Error> {
    Ok(id)
}

fn main() {}
