//! `crate = "…"` at each attribute.
#![deny(warnings)]

use async_trait::async_trait;
use once::{Coordinator, Error, KeyPart, idempotent, with_lock};
use serde::Serialize;

#[derive(KeyPart, Serialize)]
#[key_part(crate = "once")]
struct OrderId(u64);

#[derive(KeyPart, Serialize)]
#[key_part(crate = ::once)]
struct Tagged<T>(T);

#[idempotent(key = "<order>:<tag>", crate = "once", wait = "1s", remember_errors = never)]
#[with_lock(key = "<order>", crate = "once", on_busy = "skip")]
async fn pay(order: OrderId, tag: Tagged<&'static str>) -> Result<Option<u64>, Failure> {
    let Tagged(_) = tag;
    Ok(Some(order.0))
}

#[derive(Debug, serde::Deserialize, Serialize)]
struct Failure;

impl From<Error> for Failure {
    fn from(_: Error) -> Self {
        Self
    }
}

fn never(_: &Failure) -> bool {
    false
}

#[async_trait]
trait Payments {
    async fn refund(&self, order: u64) -> Result<u64, Error>;
}

struct Shop {
    coordinator: Coordinator,
}

#[async_trait]
impl Payments for Shop {
    #[with_lock(key = "<order>", coordinator = self.coordinator)]
    #[idempotent(crate = ::once)]
    async fn refund(&self, order: u64) -> Result<u64, Error> {
        Ok(order)
    }
}

oncely_renamed::handler!(handled(order));

#[tokio::test]
async fn a_renamed_dependency_is_named_at_each_attribute() -> Result<(), Error> {
    let coordinator = Coordinator::connect("memory:").await?;
    let paid = coordinator.scope(pay(OrderId(7), Tagged("a"))).await;
    assert!(matches!(paid, Ok(Some(7))));
    assert_eq!(coordinator.scope(handled(7)).await?, 7);
    assert_eq!(Shop { coordinator }.refund(7).await?, 7);
    Ok(())
}
