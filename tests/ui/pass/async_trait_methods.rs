#![deny(warnings)]

use std::sync::Arc;

use async_trait::async_trait;
use oncely::{Error, idempotent, with_lock};
use serde::Serialize;

#[derive(Serialize)]
pub struct Request {
    id: u64,
}

pub struct Json<T>(T);

pub struct Gateway {
    tenant: String,
}

#[async_trait]
pub trait Payments {
    async fn pay(&self, request: Json<Request>, note: String) -> Result<u64, Error>;
    async fn close(self: Arc<Self>, name: &str) -> Result<String, Error>;
    async fn take(self, id: u64) -> Result<u64, Error>
    where
        Self: Sized;

    #[with_lock(key = "order:<order>")]
    async fn refund(&self, order: u64) -> Result<u64, Error> {
        Ok(order)
    }
}

#[async_trait]
impl Payments for Gateway {
    #[idempotent(key = "<self.tenant>:<id>")]
    #[with_lock(key = "note:<1>", wait = "1s")]
    async fn pay(
        &self,
        Json(Request { id }): Json<Request>,
        mut note: String,
    ) -> Result<u64, Error> {
        note.push_str(&self.tenant);
        if note.len() > 10 {
            return Ok(0);
        }
        Ok(id)
    }

    #[with_lock(key = "<self.tenant>:<name>")]
    async fn close(self: Arc<Self>, name: &str) -> Result<String, Error> {
        Ok(name.to_owned())
    }

    #[idempotent(key = "<self.tenant>:<id>")]
    async fn take(self, id: u64) -> Result<u64, Error> {
        drop(self.tenant);
        Ok(id)
    }
}

#[async_trait(?Send)]
pub trait Local {
    async fn pay(&self, order: u64) -> Result<u64, Error>;
}

#[async_trait(?Send)]
impl Local for Gateway {
    #[idempotent(key = "<self.tenant>:<order>")]
    async fn pay(&self, order: u64) -> Result<u64, Error> {
        let shared = std::rc::Rc::new(order);
        std::future::ready(()).await;
        Ok(*shared)
    }
}

fn main() {}
