#![deny(warnings)]

use async_trait::async_trait;
use oncely::{Error, idempotent, with_lock};

/// Documentation stays.
#[tracing::instrument]
#[idempotent(key = "order:<order>")]
#[must_use = "it stays too"]
#[cfg_attr(all(), doc = "As does this.")]
pub async fn above(order: u64) -> Result<u64, Error> {
    Ok(order)
}

#[oncely::idempotent(key = "order:<order>")]
#[tracing::instrument(skip(order))]
#[oncely::with_lock(key = "order:<order>")]
pub async fn below(order: u64) -> Result<u64, Error> {
    #![allow(unused_variables)]
    let unused = order;
    Ok(order)
}

#[async_trait]
pub trait Payments {
    async fn above(&self, order: (u64, u64)) -> Result<u64, Error>;
    async fn below(&self, order: (u64, u64)) -> Result<u64, Error>;
}

#[derive(Debug)]
pub struct Gateway;

#[async_trait]
impl Payments for Gateway {
    #[tracing::instrument]
    #[idempotent(key = "order:<left>")]
    async fn above(&self, (left, _): (u64, u64)) -> Result<u64, Error> {
        Ok(left)
    }

    #[with_lock(key = "order:<left>")]
    #[tracing::instrument]
    async fn below(&self, (left, _): (u64, u64)) -> Result<u64, Error> {
        Ok(left)
    }
}

fn main() {}
