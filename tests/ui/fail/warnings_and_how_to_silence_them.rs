use std::collections::{BTreeSet, HashMap, HashSet};

use oncely::{Error, idempotent, with_lock};

#[with_lock(key = "ledger")]
async fn constant(account: u64) -> Result<u64, Error> {
    Ok(account)
}

#[with_lock(keys = ["ledger", "account:<account>"])]
async fn one_of_two(account: u64) -> Result<u64, Error> {
    Ok(account)
}

#[idempotent]
async fn set(tags: HashSet<u64>) -> Result<usize, Error> {
    Ok(tags.len())
}

#[idempotent(key = "<id>")]
async fn deep(id: u64, tags: &HashMap<u64, std::collections::HashSet<u8>>) -> Result<u64, Error> {
    drop(tags.len());
    Ok(id)
}

#[with_lock(key = "ledger", constant)]
async fn said(account: u64) -> Result<u64, Error> {
    Ok(account)
}

#[with_lock(key = "nightly report")]
async fn without_arguments() -> Result<u64, Error> {
    Ok(1)
}

#[idempotent(key = "<id>", skip(tags))]
async fn skipped(id: u64, tags: HashSet<u64>, sorted: BTreeSet<u64>) -> Result<u64, Error> {
    drop((tags, sorted));
    Ok(id)
}

#[allow(deprecated)]
#[idempotent]
#[with_lock(key = "ledger")]
async fn allowed(tags: HashSet<u64>) -> Result<usize, Error> {
    Ok(tags.len())
}

fn main() {
    "warnings are shown beside errors only"
}
