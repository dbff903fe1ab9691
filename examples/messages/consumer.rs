//! A consumer of a group: it does what messages say, and acknowledges them.

use std::time::Duration;

use anyhow::Context;
use oncely::http::IdempotencyKey;
use oncely::{Coordinator, idempotent};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};

use crate::ledger::Ledger;

pub(crate) const STREAM: &str = "charges";
pub(crate) const GROUP: &str = "billing";

/// What a consumer took and has not acknowledged for so long is taken over by another.
const ABANDONED: Duration = Duration::from_millis(500);

/// The id that the producer gave the message is the key: it is the same for every delivery of it,
/// and for a message that was sent twice. The other arguments are what the message says; one that
/// says something else under the same id is refused.
#[idempotent(operation = "charge", lease = "2s")]
async fn charge(
    id: IdempotencyKey,
    ledger: Ledger,
    order: String,
    cents: u64,
) -> Result<String, anyhow::Error> {
    // A processor that takes a key would be handed `oncely::current()?.downstream_key("charge")`.
    println!("charging {cents} cents for {order} ({id})");
    ledger.charge(&order)?;
    Ok(format!("receipt for {order}"))
}

pub(crate) struct Consumer {
    name: String,
    redis: MultiplexedConnection,
    ledger: Ledger,
}

impl Consumer {
    pub(crate) async fn connect(name: &str, url: &str, ledger: Ledger) -> anyhow::Result<Self> {
        Coordinator::builder().namespace("billing").connect(url).await?.install()?;
        let redis = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
        Ok(Self { name: name.to_owned(), redis, ledger })
    }

    /// Consumes until nothing is left; does not get around to acknowledge the message `last`.
    pub(crate) async fn run(&mut self, last: Option<&str>) -> anyhow::Result<()> {
        loop {
            let messages = self.next().await?;
            if messages.is_empty() && last.is_none() && self.is_idle().await? {
                println!("{}: nothing left", self.name);
                return std::future::pending().await;
            }
            for message in messages {
                let id: String = message.get("id").context("a message without an id")?;
                self.consume(&id, &message).await?;
                if last == Some(&*id) {
                    println!("{}: not acknowledging {id}", self.name);
                    return std::future::pending().await;
                }
                let acknowledge = [STREAM, GROUP, &message.id];
                redis::cmd("XACK").arg(&acknowledge).exec_async(&mut self.redis).await?;
            }
        }
    }

    async fn consume(&self, id: &str, message: &StreamId) -> anyhow::Result<()> {
        let key = IdempotencyKey::new(id)?;
        let order = message.get("order").context("a charge without an order")?;
        let cents = message.get("cents").context("a charge without an amount")?;
        let receipt = charge(key, self.ledger.clone(), order, cents).await?;
        println!("{}: {id} has a {receipt}", self.name);
        Ok(())
    }

    /// What another consumer has left behind, or the next new message.
    async fn next(&mut self) -> anyhow::Result<Vec<StreamId>> {
        let claim = (STREAM, GROUP, &self.name, ABANDONED.as_millis() as u64, "0");
        let abandoned: StreamAutoClaimReply =
            redis::cmd("XAUTOCLAIM").arg(claim).query_async(&mut self.redis).await?;
        if !abandoned.claimed.is_empty() {
            return Ok(abandoned.claimed);
        }
        let read = ("GROUP", GROUP, &self.name, "COUNT", 1, "BLOCK", 100, "STREAMS", STREAM, ">");
        let new: Option<StreamReadReply> =
            redis::cmd("XREADGROUP").arg(read).query_async(&mut self.redis).await?;
        Ok(new.into_iter().flat_map(|new| new.keys).flat_map(|key| key.ids).collect())
    }

    /// Whether nobody holds a message that is not acknowledged.
    async fn is_idle(&mut self) -> anyhow::Result<bool> {
        let pending: redis::Value =
            redis::cmd("XPENDING").arg(&[STREAM, GROUP]).query_async(&mut self.redis).await?;
        Ok(matches!(pending, redis::Value::Array(of) if of.first() == Some(&redis::Value::Int(0))))
    }
}
