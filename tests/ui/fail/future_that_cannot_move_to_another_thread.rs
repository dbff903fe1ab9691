use std::rc::Rc;

use async_trait::async_trait;
use oncely::{Error, idempotent, with_lock};

#[idempotent]
async fn body(id: u64) -> Result<u64, Error> {
    let shared = Rc::new(id);
    std::future::ready(()).await;
    Ok(*shared)
}

#[with_lock(key = "<0>")]
async fn argument(id: u64, shared: Rc<u64>) -> Result<u64, Error> {
    std::future::ready(()).await;
    Ok(id + *shared)
}

#[async_trait]
pub trait Payments {
    async fn pay(&self, id: u64) -> Result<u64, Error>;
}

#[async_trait]
impl Payments for () {
    #[idempotent]
    async fn pay(&self, id: u64) -> Result<u64, Error> {
        let shared = Rc::new(id);
        std::future::ready(()).await;
        Ok(*shared)
    }
}

fn main() {
    tokio::spawn(body(1));
    tokio::spawn(argument(1, Rc::new(1)));
}
