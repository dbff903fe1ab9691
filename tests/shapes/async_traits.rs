//! Methods under `#[async_trait]`, which rewrites them before or after our attributes see them.

use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use oncely::{Error, idempotent, with_lock};

use crate::{excludes, replays, saw};

struct Json<T>(T);

struct Shop {
    tenant: String,
}

fn shop() -> Shop {
    Shop { tenant: "acme".into() }
}

#[async_trait]
trait Payments: Sync {
    async fn pay(&self, request: Json<(u64, u8)>, note: String) -> Result<u64, Error>;
    async fn pay_the_other_way_round(&self, order: u64) -> Result<u64, Error>;
    async fn close(self: Arc<Self>, name: &str) -> Result<String, Error>;
    async fn take(self, id: u64) -> Result<String, Error>
    where
        Self: Sized;
    async fn rename(&mut self, name: &str) -> Result<usize, Error>;

    #[idempotent(key = "refund:<order>")]
    async fn refund(&self, order: u64) -> Result<u64, Error> {
        saw(order);
        Ok(order)
    }
}

#[async_trait]
impl Payments for Shop {
    #[idempotent(key = "<self.tenant>:<id>")]
    #[with_lock(key = "note:<1>", wait = "0s")]
    async fn pay(&self, Json((id, _)): Json<(u64, u8)>, mut note: String) -> Result<u64, Error> {
        note.push_str(&self.tenant);
        saw(format_args!("{id} {note}"));
        if note.len() > 100 {
            return Ok(0);
        }
        Ok(id)
    }

    #[with_lock(key = "order:<order>", wait = "0s")]
    #[idempotent(key = "<self.tenant>:<order>")]
    async fn pay_the_other_way_round(&self, order: u64) -> Result<u64, Error> {
        saw(order);
        Ok(order)
    }

    #[with_lock(key = "<self.tenant>:<name>", wait = "0s")]
    async fn close(self: Arc<Self>, name: &str) -> Result<String, Error> {
        saw(name);
        Ok(name.to_owned() + &self.tenant)
    }

    #[idempotent(key = "<self.tenant>:<id>")]
    async fn take(self, id: u64) -> Result<String, Error> {
        saw(id);
        Ok(self.tenant)
    }

    #[with_lock(key = "<self.tenant>", wait = "0s")]
    async fn rename(&mut self, name: &str) -> Result<usize, Error> {
        saw(name);
        self.tenant = name.to_owned();
        Ok(name.len())
    }
}

#[tokio::test]
async fn both_attributes_inside_the_impl() {
    let call = async || shop().pay(Json((7, 1)), "a".into()).await;
    excludes("note:a", call, 7, "acme:7 | 7 aacme").await;
    replays(call, 7, "acme:7 | 7 aacme").await;
    let call = async || shop().pay_the_other_way_round(7).await;
    excludes("order:7", call, 7, "acme:7 | 7").await;
    replays(call, 7, "acme:7 | 7").await;
}

#[tokio::test]
async fn every_kind_of_self() {
    let call = async || Arc::new(shop()).close("till").await;
    excludes("acme:till", call, "tillacme".into(), "acme:till | till").await;
    replays(async || shop().take(7).await, "acme".into(), "acme:7 | 7").await;
    excludes("acme", async || shop().rename("beta").await, 4, "acme | beta").await;
}

#[tokio::test]
async fn a_provided_method() {
    replays(async || shop().refund(7).await, 7, "refund:7 | 7").await;
}

#[tokio::test]
async fn a_trait_object() {
    let payments: &dyn Payments = &shop();
    let call = async || payments.pay_the_other_way_round(7).await;
    replays(call, 7, "acme:7 | 7").await;
}

#[async_trait(?Send)]
trait Local {
    async fn pay_here(&self, order: u64) -> Result<u64, Error>;
}

#[async_trait(?Send)]
impl Local for Shop {
    #[idempotent(key = "<self.tenant>:<order>")]
    async fn pay_here(&self, order: u64) -> Result<u64, Error> {
        let shared = Rc::new(order);
        tokio::task::yield_now().await;
        saw(&shared);
        Ok(*shared)
    }
}

#[tokio::test]
async fn a_trait_whose_futures_stay_on_their_thread() {
    replays(async || shop().pay_here(7).await, 7, "acme:7 | 7").await;
}

#[async_trait]
trait Generic<T>: Sync {
    async fn put<I>(&self, items: &[I], label: impl Into<String> + Send) -> Result<T, Error>
    where
        I: Into<T> + Clone + Sync;
}

#[async_trait]
impl<T: Send + 'static> Generic<T> for Shop {
    #[with_lock(key = "<self.tenant>", wait = "0s")]
    async fn put<I>(&self, items: &[I], label: impl Into<String> + Send) -> Result<T, Error>
    where
        I: Into<T> + Clone + Sync,
    {
        saw(label.into());
        Ok(items[0].clone().into())
    }
}

#[tokio::test]
async fn generics_and_lifetimes() {
    let call = async || Generic::<u64>::put(&shop(), &[7_u32], "label").await;
    excludes("acme", call, 7, "acme | label").await;
}
