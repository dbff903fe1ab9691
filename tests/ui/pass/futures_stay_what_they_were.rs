#![deny(warnings)]

use std::cell::Cell;
use std::rc::Rc;

use oncely::{Error, idempotent, with_lock};
use serde::Serialize;

/// `Send` and not `Sync`: a reference to it held across an `await` would show.
#[derive(Serialize)]
pub struct Counted {
    count: Cell<u64>,
    name: String,
}

#[idempotent(key = "<counted.name>")]
#[with_lock(key = "<counted.name>")]
pub async fn not_sync(counted: Counted) -> Result<u64, Error> {
    std::future::ready(()).await;
    Ok(counted.count.get())
}

#[with_lock(key = "<name>")]
pub async fn not_send(name: &str) -> Result<Rc<str>, Error> {
    let shared: Rc<str> = name.into();
    std::future::ready(()).await;
    Ok(shared)
}

fn is_send(_: impl Send) {}

fn main() {
    let counted = Counted { count: Cell::new(1), name: String::from("a") };
    is_send(not_sync(counted));
    drop(not_send("a"));
}
