//! Methods: every kind of `self`, and traits with native `async fn`.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use oncely::{Coordinator, Error, idempotent, with_lock};

use crate::{alone, excludes, replays, saw, seen};

struct Shop {
    tenant: String,
}

fn shop() -> Shop {
    Shop { tenant: "acme".into() }
}

impl Shop {
    #[idempotent(key = "<self.tenant>:<id>")]
    async fn by_reference(&self, id: u64) -> Result<usize, Error> {
        saw(format_args!("{} {id}", self.tenant));
        Ok(self.tenant.len())
    }

    #[with_lock(key = "<self.tenant>", wait = "0s")]
    async fn by_mutable_reference<'text>(&mut self, more: &'text str) -> Result<&'text str, Error> {
        saw(format_args!("{} {more}", self.tenant));
        self.tenant.push_str(more);
        Ok(more)
    }

    #[idempotent(key = "<self.tenant>")]
    async fn by_value(self) -> Result<String, Error> {
        saw(&self.tenant);
        Ok(self.tenant)
    }

    #[idempotent(key = "<self.tenant>", detached)]
    async fn by_arc(self: Arc<Self>) -> Result<usize, Error> {
        saw(&self.tenant);
        Ok(self.tenant.len())
    }

    #[with_lock(key = "<self.tenant>", wait = "0s")]
    async fn by_rc(self: &Rc<Self>) -> Result<usize, Error> {
        saw(&self.tenant);
        Ok(Rc::strong_count(self))
    }

    #[with_lock(key = "<self.tenant>", wait = "0s")]
    async fn by_pin(self: Pin<&mut Self>, more: &str) -> Result<usize, Error> {
        let this = self.get_mut();
        this.tenant.push_str(more);
        saw(&this.tenant);
        Ok(this.tenant.len())
    }

    #[idempotent(key = "<id>")]
    async fn associated(id: u64) -> Result<u64, Error> {
        saw(id);
        Ok(id)
    }
}

#[tokio::test]
async fn a_method_by_reference() {
    replays(async || shop().by_reference(7).await, 4, "acme:7 | acme 7").await;
}

#[tokio::test]
async fn a_method_by_mutable_reference_changes_the_value() {
    let mut shop = shop();
    alone(async {
        assert_eq!(shop.by_mutable_reference("!").await.unwrap(), "!");
        assert_eq!(shop.by_mutable_reference("?").await.unwrap(), "?");
    })
    .await;
    assert_eq!(shop.tenant, "acme!?");
    assert_eq!(seen(), ["acme | acme !", "acme%21 | acme! ?"]);
}

#[tokio::test]
async fn a_method_by_value() {
    replays(async || shop().by_value().await, "acme".into(), "acme | acme").await;
}

#[tokio::test]
async fn a_detached_method_by_arc() {
    replays(async || Arc::new(shop()).by_arc().await, 4, "acme | acme").await;
}

#[tokio::test]
async fn a_method_by_reference_to_rc() {
    excludes("acme", async || Rc::new(shop()).by_rc().await, 1, "acme | acme").await;
}

#[tokio::test]
async fn a_method_by_pin() {
    let call = async || Pin::new(&mut shop()).by_pin("!").await;
    excludes("acme", call, 5, "acme | acme!").await;
}

#[tokio::test]
async fn an_associated_function() {
    replays(async || Shop::associated(7).await, 7, "7 | 7").await;
}

#[allow(async_fn_in_trait)]
trait Payments {
    async fn pay(&self, order: u64) -> Result<u64, Error>;

    fn ship(&self, order: u64) -> impl Future<Output = Result<u64, Error>> + Send;

    #[idempotent(key = "refund:<order>")]
    async fn refund(&self, order: u64) -> Result<u64, Error> {
        saw(format_args!("{} {order}", self.fee()));
        Ok(order - self.fee())
    }

    fn fee(&self) -> u64 {
        1
    }
}

impl Payments for Shop {
    #[idempotent(key = "<self.tenant>:<order>")]
    async fn pay(&self, order: u64) -> Result<u64, Error> {
        saw(order);
        Ok(order)
    }

    #[with_lock(key = "<self.tenant>:<order>", wait = "0s")]
    async fn ship(&self, order: u64) -> Result<u64, Error> {
        saw(order);
        Ok(order)
    }
}

struct Kiosk;

impl Payments for Kiosk {
    #[idempotent(key = "<order>")]
    async fn pay(&self, order: u64) -> Result<u64, Error> {
        saw(order);
        Ok(order + 1)
    }

    async fn ship(&self, order: u64) -> Result<u64, Error> {
        Ok(order)
    }

    fn fee(&self) -> u64 {
        2
    }
}

#[tokio::test]
async fn a_method_of_a_trait() {
    replays(async || shop().pay(7).await, 7, "acme:7 | 7").await;
    excludes("acme:7", async || shop().ship(7).await, 7, "acme:7 | 7").await;
    assert_eq!(alone(Kiosk.ship(7)).await.unwrap(), 7);
}

#[tokio::test]
async fn a_provided_method_is_an_operation_of_each_type() {
    replays(async || shop().refund(7).await, 6, "refund:7 | 1 7").await;
    let both = async { (shop().refund(7).await.unwrap(), Kiosk.refund(7).await.unwrap()) };
    assert_eq!(alone(both).await, (6, 5));
    assert_eq!(seen(), ["refund:7 | 1 7", "refund:7 | 2 7"]);
}

struct Till {
    oncely: Coordinator,
}

impl Till {
    #[with_lock(key = "till", coordinator = self.oncely, wait = "0s")]
    async fn open(&self) -> Result<u64, Error> {
        saw("open");
        Ok(1)
    }
}

#[tokio::test]
async fn a_coordinator_in_a_field() {
    let till = Till { oncely: Coordinator::connect("memory:").await.unwrap() };
    assert_eq!(till.open().await.unwrap(), 1);
    let held = till.oncely.lock("till").acquire().await.unwrap();
    assert_eq!(till.open().await.unwrap_err().kind(), oncely::ErrorKind::LockBusy);
    held.release().await.unwrap();
    assert_eq!(seen(), ["till | open"]);
}
