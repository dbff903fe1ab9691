#![deny(warnings)]

use std::pin::Pin;
use std::sync::Arc;

use oncely::{Error, KeyPart, idempotent, with_lock};
use serde::Serialize;

#[derive(Clone, KeyPart, Serialize)]
pub struct OrderId(u64);

#[derive(KeyPart, Serialize)]
pub struct Tagged<T> {
    tag: T,
}

#[derive(Serialize)]
pub struct Request {
    pub order: OrderId,
    pub r#type: String,
    pub pair: (u8, (u16, u32)),
}

pub struct Json<T>(pub T);

pub struct Shop {
    tenant: String,
}

type Answer<T, E = Error> = std::result::Result<T, E>;

#[idempotent(key = "pay:<request.order>:<request.type>:<request.pair.1.0>")]
#[with_lock(key = "order:<0.order>", wait = "2s")]
pub async fn both(request: Request) -> Answer<u64> {
    Ok(request.order.0)
}

#[idempotent]
pub async fn fingerprint_only(mut order: u64, name: &str, _: f64) -> Result<u64, Error> {
    order += name.len() as u64;
    Ok(order)
}

#[with_lock(key = "<<nightly>>")]
pub async fn global() -> Answer<()> {
    Ok(())
}

#[idempotent(key = "<order>:<left>")]
pub async fn patterns(
    Json(Request { order, pair: (left, _), .. }): Json<Request>,
    [first, rest @ ..]: [u8; 3],
) -> Answer<u64> {
    Ok(order.0 + u64::from(left + first + rest[0]))
}

#[idempotent(key = "<tag>:<r#type>")]
pub async fn generics<T, const N: usize>(
    tag: Tagged<T>,
    r#type: impl KeyPart + Serialize,
    bytes: [u8; N],
) -> Answer<usize>
where
    T: KeyPart + Serialize,
    [u8; N]: Serialize,
{
    let _ = (tag, r#type);
    Ok(bytes.len())
}

#[with_lock(keys = ["account:<from>", "account:<to>"], on_busy = "skip")]
pub async fn opaque(from: u64, to: u64) -> Answer<Option<impl Iterator<Item = u64>>> {
    Ok(Some([from, to].into_iter()))
}

impl Shop {
    #[idempotent(key = "<self.tenant>:<id>", scope = "<self.tenant>")]
    pub async fn by_reference(&self, id: u64) -> Answer<usize> {
        Ok(self.tenant.len() + id as usize)
    }

    #[with_lock(key = "<self.tenant>")]
    pub async fn by_mutable_reference<'text>(&mut self, more: &'text str) -> Answer<&'text str> {
        self.tenant.push_str(more);
        Ok(more)
    }

    #[idempotent(key = "<self.tenant>", detached)]
    pub async fn by_value(self) -> Answer<String> {
        Ok(self.tenant)
    }

    #[with_lock(key = "<self.tenant>")]
    pub async fn by_arc(self: Arc<Self>) -> Answer<usize> {
        Ok(self.tenant.len())
    }

    #[with_lock(key = "<self.tenant>")]
    pub async fn by_pin(self: Pin<&mut Self>) -> Answer<usize> {
        Ok(self.tenant.len())
    }

    #[idempotent]
    pub async fn associated(id: u64) -> Answer<u64> {
        Ok(id)
    }
}

pub trait Payments {
    fn pay(&self, order: u64) -> impl Future<Output = Answer<u64>> + Send;

    #[idempotent(key = "refund:<order>")]
    #[allow(async_fn_in_trait)]
    async fn refund(&self, order: u64) -> Answer<u64> {
        Ok(order)
    }
}

impl Payments for Shop {
    #[idempotent(key = "<self.tenant>:<order>")]
    async fn pay(&self, order: u64) -> Answer<u64> {
        Ok(order)
    }
}

fn main() {}
