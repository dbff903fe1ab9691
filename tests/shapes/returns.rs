//! Return types: aliases, options, nothing, and the errors of other crates.
//!
//! `std::io::Result` cannot be: its error has no `From<oncely::Error>` and nobody but the standard
//! library could write one.

use oncely::{Error, idempotent, with_lock};
use serde::{Deserialize, Serialize};

use crate::{Failure, alone, excludes, replays, saw, seen};

type Answer<T, E = Failure> = std::result::Result<T, E>;
type Whole = Answer<u64>;

#[idempotent(key = "<order>")]
async fn anyhow_alias(order: u64) -> anyhow::Result<u64> {
    saw(order);
    anyhow::ensure!(order > 0, "no order");
    Ok(order)
}

#[tokio::test]
async fn an_alias_of_another_crate() {
    replays(async || anyhow_alias(7).await, 7, "7 | 7").await;
    let failed = alone(anyhow_alias(0)).await.unwrap_err();
    assert_eq!(failed.to_string(), "no order");
    let refused = anyhow_alias(7).await.unwrap_err();
    let refused = refused.downcast::<Error>().unwrap();
    assert_eq!(refused.kind(), oncely::ErrorKind::NotInstalled);
    assert_eq!(seen(), ["0 | 0"]);
}

#[with_lock(key = "<order>", wait = "0s")]
async fn local_alias(order: u64) -> Answer<u64> {
    saw(order);
    Ok(order)
}

#[with_lock(key = "<order>", wait = "0s")]
async fn alias_without_parameters(order: u64) -> Whole {
    saw(order);
    Ok(order)
}

#[tokio::test]
async fn an_alias_of_ones_own() {
    excludes("7", async || local_alias(7).await, 7, "7 | 7").await;
    excludes("7", async || alias_without_parameters(7).await, 7, "7 | 7").await;
}

#[idempotent(key = "<order>")]
async fn nothing(order: u64) -> Answer<()> {
    saw(order);
    Ok(())
}

#[idempotent(key = "<order>")]
async fn option(order: u64) -> Answer<Option<u64>> {
    saw(order);
    Ok(order.checked_sub(10))
}

#[tokio::test]
async fn unit_and_none_are_outcomes() {
    replays(async || nothing(7).await, (), "7 | 7").await;
    replays(async || option(7).await, None, "7 | 7").await;
    replays(async || option(12).await, Some(2), "12 | 12").await;
}

#[with_lock(key = "<order>", wait = "0s", on_busy = "skip")]
async fn skipping(order: u64) -> Answer<Option<u64>> {
    saw(order);
    Ok(Some(order))
}

#[tokio::test]
async fn a_busy_lock_can_be_none() {
    let oncely = oncely::Coordinator::connect("memory:").await.unwrap();
    let held = oncely.lock("7").acquire().await.unwrap();
    assert_eq!(oncely.scope(skipping(7)).await.unwrap(), None);
    held.release().await.unwrap();
    assert_eq!(oncely.scope(skipping(7)).await.unwrap(), Some(7));
    assert_eq!(seen(), ["7 | 7"]);
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
enum Declined {
    Amount(u64),
    Refused,
}

impl From<Error> for Declined {
    fn from(_: Error) -> Self {
        Self::Refused
    }
}

#[idempotent(key = "<order>", remember_errors = is_final)]
async fn remembering(order: u64) -> Result<u64, Declined> {
    saw(order);
    Err(Declined::Amount(order))
}

fn is_final(error: &Declined) -> bool {
    matches!(error, Declined::Amount(_))
}

#[tokio::test]
async fn an_error_that_is_remembered_comes_back_as_its_type() {
    alone(async {
        assert_eq!(remembering(7).await, Err(Declined::Amount(7)));
        assert_eq!(remembering(7).await, Err(Declined::Amount(7)));
    })
    .await;
    assert_eq!(seen(), ["7 | 7"]);
}

mod deep {
    pub(super) mod deeper {
        use crate::saw;
        use oncely::Error;

        #[oncely::idempotent(key = "<order>")]
        pub(in crate::returns) async fn nested(order: u64) -> Result<String, Error> {
            saw(order);
            Ok(oncely::current().map(|call| call.operation().to_owned()).unwrap_or_default())
        }
    }
}

#[tokio::test]
async fn a_nested_module_is_part_of_the_operation() {
    let operation = "shapes::returns::deep::deeper::nested".to_owned();
    replays(async || deep::deeper::nested(7).await, operation, "7 | 7").await;
}
