#![deny(warnings)]

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

use oncely::{Coordinator, Error, KeyPart, idempotent, with_lock};

#[with_lock(key = "coerced", constant)]
pub async fn coerced(text: bool) -> Result<Box<dyn Debug + Send>, Error> {
    fn item() {}
    item();
    if text {
        return Ok(Box::new("text"));
    }
    Ok(Box::new(1))
}

#[with_lock(key = "closure", constant)]
pub async fn closure<'a>(x: &'a str) -> Result<Box<dyn Fn(&str) -> usize + 'a>, Error> {
    Ok(Box::new(move |y| y.len() + x.len()))
}

#[with_lock(key = "<depth>")]
pub async fn recursive(depth: u8) -> anyhow::Result<u8> {
    if depth == 0 {
        return Ok(0);
    }
    let below = Box::pin(recursive(depth - 1)).await?;
    Ok(below + 1)
}

#[idempotent(key = "<name>", skip(seen))]
pub async fn borrowed<'a>(name: &'a str, seen: &mut Vec<u8>) -> Result<Cow<'a, str>, Error> {
    seen.push(1);
    Ok(name.into())
}

pub trait Named {
    #[with_lock(key = "named:<self>")]
    #[allow(async_fn_in_trait)]
    async fn close(&self) -> Result<(), Error>
    where
        Self: KeyPart,
    {
        Ok(())
    }
}

impl Named for str {}

pub struct Shop {
    coordinator: Arc<Coordinator>,
}

impl Shop {
    #[with_lock(key = "by value", coordinator = self.coordinator)]
    pub async fn field(&self) -> Result<(), Error> {
        Ok(())
    }

    #[with_lock(key = "by reference", coordinator = &self.coordinator)]
    pub async fn reference(&self) -> Result<(), Error> {
        Ok(())
    }

    #[idempotent(coordinator = if flag { first } else { second }, skip(first, second))]
    pub async fn chosen(
        flag: bool,
        first: &Coordinator,
        second: &Coordinator,
    ) -> Result<bool, Error> {
        Ok(flag)
    }

    fn by_call(&self) -> Arc<Coordinator> {
        Arc::clone(&self.coordinator)
    }

    #[with_lock(key = "by call", coordinator = self.by_call())]
    pub async fn temporary(self) -> Result<Arc<Coordinator>, Error> {
        Ok(self.coordinator)
    }
}

fn main() {
    drop("name".close());
}
