//! The world outside: a card processor, a bank and a carrier. Whoever asks them twice, pays twice.

use std::fmt;
use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::ledger::{Entry, Event, Ledger};

/// How long a request to the outside takes: long enough for its duplicates to arrive meanwhile.
const TRAVEL: Duration = Duration::from_millis(200);

#[derive(Clone, Debug)]
pub(crate) struct Outside {
    ledger: Ledger,
    stop_at: Option<Moment>,
}

/// A moment at which the process can be made to stop, so that it can be killed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    BeforeTheEffect,
    AfterTheEffect,
}

impl Outside {
    pub(crate) fn new(ledger: Ledger, stop_at: Option<Moment>) -> Self {
        Self { ledger, stop_at }
    }

    /// Takes money from a card. As most processors do, this one recognizes a key it has seen and
    /// answers with the charge it made then; without a key, every request is a charge.
    pub(crate) async fn charge_card(
        &self,
        order_id: &str,
        amount: u64,
        idempotency_key: Option<String>,
    ) -> io::Result<Entry> {
        let order_id = order_id.to_owned();
        self.act(move |entries| {
            let known = idempotency_key.as_ref().and_then(|key| {
                entries.iter().find(|entry| entry.idempotency_key.as_ref() == Some(key))
            });
            match known {
                Some(charge) => Entry { event: Event::Recognized, ..charge.clone() },
                None => Entry {
                    event: Event::Charged,
                    id: numbered("charge", entries, Event::Charged),
                    order_id,
                    amount: Some(amount),
                    idempotency_key,
                },
            }
        })
        .await
    }

    /// Takes money from an account. The bank has never heard of idempotency keys.
    pub(crate) async fn transfer(&self, order_id: &str, amount: u64) -> io::Result<Entry> {
        let order_id = order_id.to_owned();
        self.act(move |entries| Entry {
            event: Event::Transferred,
            id: numbered("transfer", entries, Event::Transferred),
            order_id,
            amount: Some(amount),
            idempotency_key: None,
        })
        .await
    }

    /// Hands a parcel to the carrier, who takes every parcel.
    pub(crate) async fn ship(&self, order_id: &str) -> io::Result<Entry> {
        let order_id = order_id.to_owned();
        self.act(move |entries| Entry {
            event: Event::Shipped,
            id: numbered("parcel", entries, Event::Shipped),
            order_id,
            amount: None,
            idempotency_key: None,
        })
        .await
    }

    /// The charge or the parcel of an order, if there is one.
    pub(crate) async fn find(&self, event: Event, order_id: &str) -> io::Result<Option<Entry>> {
        let is_it = |entry: &Entry| entry.event == event && entry.order_id == order_id;
        Ok(self.entries().await?.into_iter().find(is_it))
    }

    pub(crate) async fn entries(&self) -> io::Result<Vec<Entry>> {
        let ledger = self.ledger.clone();
        spawn_blocking(move || ledger.entries()).await?
    }

    async fn act(
        &self,
        effect: impl FnOnce(&[Entry]) -> Entry + Send + 'static,
    ) -> io::Result<Entry> {
        sleep(TRAVEL).await;
        self.reach(Moment::BeforeTheEffect).await;
        let ledger = self.ledger.clone();
        let entry = spawn_blocking(move || ledger.append(effect)).await??;
        self.reach(Moment::AfterTheEffect).await;
        Ok(entry)
    }

    /// If this is the moment to stop at: says so, and goes no further.
    async fn reach(&self, moment: Moment) {
        if self.stop_at == Some(moment) {
            println!("{}", moment.name());
            pending().await
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeTheEffect => "before the",
            Self::AfterTheEffect => "after the",
        })
    }
}

impl Moment {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BeforeTheEffect => "before-the-effect",
            Self::AfterTheEffect => "after-the-effect",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Option<Self>, String> {
        match name {
            "never" => Ok(None),
            "before-the-effect" => Ok(Some(Self::BeforeTheEffect)),
            "after-the-effect" => Ok(Some(Self::AfterTheEffect)),
            _ => Err(format!("{name} is no moment to stop at")),
        }
    }
}

fn numbered(name: &str, entries: &[Entry], event: Event) -> String {
    let before = entries.iter().filter(|entry| entry.event == event).count();
    format!("{name}-{}", before + 1)
}
