//! The protected functions that the suites call.

use std::time::Duration;

use oncely::{Coordinator, Error, idempotent, with_lock};

use crate::receipt::Receipt;

/// Takes the lock of an order, does nothing, and gives it back.
#[with_lock(key = "order:<order>", coordinator = oncely)]
pub(crate) async fn lock(oncely: &Coordinator, order: u64) -> Result<u64, Error> {
    Ok(order)
}

/// Gives a receipt of 200 bytes.
#[idempotent(operation = "pay", key = "pay:<request>", skip(oncely), coordinator = oncely)]
pub(crate) async fn pay(oncely: &Coordinator, request: u64) -> Result<Receipt, Error> {
    Ok(Receipt::new())
}

/// The same under the lock of an order.
#[idempotent(operation = "pay", key = "pay:<request>", skip(oncely), coordinator = oncely)]
#[with_lock(key = "order:<request>", coordinator = oncely)]
pub(crate) async fn pay_locked(oncely: &Coordinator, request: u64) -> Result<Receipt, Error> {
    Ok(Receipt::new())
}

/// A body that takes just this long.
///
/// Not by tokio's clock: that counts in whole milliseconds, so that a body of 1 ms takes nearly two,
/// and in the rest of the second one a hand-over would be free.
pub(crate) async fn body(length: Duration) {
    // An abandoned body is waited for by nobody.
    let _ = tokio::task::spawn_blocking(move || std::thread::sleep(length)).await;
}
