//! `extern crate … as oncely` at the root, once for all attributes.
#![deny(warnings)]

extern crate once as oncely;

mod shop {
    use once::{Error, KeyPart, idempotent, with_lock};

    #[derive(KeyPart)]
    pub(crate) struct OrderId(pub(crate) u64);

    #[idempotent(key = "<order>")]
    pub(crate) async fn pay(order: u64) -> Result<u64, Error> {
        Ok(order)
    }

    #[with_lock(key = "<order>")]
    pub(crate) async fn ship(order: OrderId) -> Result<u64, Error> {
        Ok(order.0)
    }
}

#[tokio::test]
async fn a_renamed_dependency_is_named_once() -> Result<(), once::Error> {
    let coordinator = once::Coordinator::connect("memory:").await?;
    assert_eq!(coordinator.scope(shop::pay(7)).await?, 7);
    assert_eq!(coordinator.scope(shop::ship(shop::OrderId(8))).await?, 8);
    Ok(())
}
