//! A user who forbids what can be forbidden stays clean.
#![deny(warnings, missing_docs, unused, clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(clippy::unwrap_used, clippy::shadow_unrelated, clippy::absolute_paths)]
#![deny(unused_qualifications, single_use_lifetimes, let_underscore_drop, unused_results)]
#![allow(unreachable_pub, reason = "a private module stands for a public one")]

use std::sync::Arc;

use async_trait::async_trait;
use oncely::{Coordinator, Error, KeyPart, idempotent, with_lock};
use serde::Serialize;

use crate::{excludes, replays, saw};

/// A newtype.
#[derive(Clone, Copy, Debug, KeyPart, Serialize)]
pub struct OrderId(u64);

/// A shop.
#[derive(Debug)]
pub struct Shop {
    tenant: String,
    coordinator: Arc<Coordinator>,
}

/// Every option at once.
///
/// # Errors
/// When refused.
#[idempotent(
    key = "<order>",
    scope = "<tenant>",
    operation = "strict",
    skip(note),
    retention = "1h",
    lease = "1s",
    max_hold = "1m",
    wait = "0s",
    on_interrupted = "hold",
    on_store_error = "run"
)]
#[with_lock(key = "<order>", wait = "0s")]
pub async fn pay(order: OrderId, tenant: &str, note: &str) -> Result<u64, Error> {
    saw(format_args!("{tenant} {note}"));
    Ok(order.0)
}

impl Shop {
    /// A method.
    ///
    /// # Errors
    /// When refused.
    #[with_lock(key = "<self.tenant>", coordinator = &self.coordinator, wait = "0s")]
    pub async fn open(&self) -> Result<(), Error> {
        saw(&self.tenant);
        Ok(())
    }
}

/// A trait.
#[async_trait]
pub trait Payments {
    /// A method of a trait.
    async fn refund(&self, order: OrderId) -> Result<u64, Error>;
}

#[async_trait]
impl Payments for Shop {
    #[idempotent(key = "<self.tenant>:<order>")]
    async fn refund(&self, order: OrderId) -> Result<u64, Error> {
        saw(order.0);
        Ok(order.0)
    }
}

#[tokio::test]
async fn every_lint_is_on() -> Result<(), Error> {
    excludes("7", async || pay(OrderId(7), "a", "n").await, 7, "7 | a n").await;
    let coordinator = Arc::new(Coordinator::connect("memory:").await?);
    let shop = Shop { tenant: "acme".into(), coordinator };
    shop.open().await?;
    drop(crate::seen());
    replays(async || shop.refund(OrderId(7)).await, 7, "acme:7 | 7").await;
    Ok(())
}
