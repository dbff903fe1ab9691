//! The service: what a payment, a transfer and a shipment are.

use axum::Json;
use oncely::{Coordinator, with_lock};
use serde::{Deserialize, Serialize};

use crate::error::PaymentError;
use crate::ledger::{Entry, Event};
use crate::outside::Outside;

#[derive(Clone, Debug)]
pub(crate) struct Payments {
    outside: Outside,
    oncely: Coordinator,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaymentRequest {
    pub(crate) order_id: String,
    pub(crate) amount: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) id: String,
    pub(crate) order_id: String,
    pub(crate) amount: u64,
    pub(crate) attempt: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shipment {
    pub(crate) id: String,
    pub(crate) order_id: String,
    pub(crate) already_shipped: bool,
}

impl Payments {
    pub(crate) fn new(outside: Outside, oncely: Coordinator) -> Self {
        Self { outside, oncely }
    }

    /// Charges the card, unless another payment has paid for the order.
    pub(crate) async fn pay(&self, request: PaymentRequest) -> Result<Receipt, PaymentError> {
        let PaymentRequest { order_id, amount } = request;
        let call = oncely::current();
        let charge_key = call.as_ref().map(|call| call.downstream_key("charge"));
        let paid = self.outside.find(Event::Charged, &order_id).await?;
        if paid.is_some_and(|charge| charge.idempotency_key != charge_key) {
            return Err(PaymentError::AlreadyPaid);
        }
        let charge = self.outside.charge_card(&order_id, amount, charge_key).await?;
        let attempt = call.map_or(1, |call| call.attempt());
        Ok(Receipt { id: charge.id, order_id, amount, attempt })
    }

    /// Transfers from the account.
    pub(crate) async fn transfer(&self, request: PaymentRequest) -> Result<Receipt, PaymentError> {
        let PaymentRequest { order_id, amount } = request;
        let transfer = self.outside.transfer(&order_id, amount).await?;
        let attempt = oncely::current().map_or(1, |call| call.attempt());
        Ok(Receipt { id: transfer.id, order_id, amount, attempt })
    }

    /// What a person found out about an interrupted transfer: the receipt it deserves, or that it
    /// never happened.
    pub(crate) async fn resolve_transfer(
        &self,
        key: &str,
        found: Option<Receipt>,
    ) -> Result<bool, PaymentError> {
        let transfer = self.oncely.idempotent("transfer", key);
        let resolved = match found {
            Some(receipt) => transfer.resolve_with_response(&Json(receipt)).await?,
            None => transfer.resolve_as_not_run().await?,
        };
        Ok(resolved)
    }

    /// Ships an order, unless it is shipped. One at a time, so that nobody can slip in between the
    /// look and the parcel.
    #[with_lock(key = "order:<order_id>", lease = "2s", wait = "5s")]
    pub(crate) async fn ship(&self, order_id: &str) -> Result<Shipment, PaymentError> {
        let earlier = self.outside.find(Event::Shipped, order_id).await?;
        let already_shipped = earlier.is_some();
        let parcel = match earlier {
            Some(parcel) => parcel,
            None => self.outside.ship(order_id).await?,
        };
        Ok(Shipment { id: parcel.id, order_id: parcel.order_id, already_shipped })
    }

    pub(crate) async fn ledger(&self) -> Result<Vec<Entry>, PaymentError> {
        Ok(self.outside.entries().await?)
    }
}
