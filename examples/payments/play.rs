//! The play: a client that retries, duplicates and loses its connection, and what comes of it.

mod crashes;
mod happened;
mod requests;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::happened::Happened;
use crate::client::{Answer, Client};
use crate::ledger::Entry;
use crate::options::Place;
use crate::report::Report;
use crate::second::Second;
use crate::server::Server;

/// Plays every scene, and fails with the promises that were broken.
pub(crate) async fn run(place: Place) -> anyhow::Result<()> {
    let server = Server::start(&place, None).await?;
    let mut servers = vec![server.url()];
    let second = match place.is_shared() {
        true => Some(Second::start(&place, None).await?),
        false => None,
    };
    servers.extend(second.as_ref().map(|second| second.url().to_owned()));
    println!("the service is on {}", servers.join(" and "));
    println!("its records are in {}\n", place.store);

    let mut play = Play { place, servers, client: Client::new(), report: Report::default() };
    let played = play.scenes().await;
    let stopped = stop(server, second).await;
    play.report.finish(played.and(stopped))
}

async fn stop(server: Server, second: Option<Second>) -> anyhow::Result<()> {
    if let Some(second) = second {
        second.stop().await?;
    }
    server.stop().await
}

struct Play {
    place: Place,
    /// One in this process and, where the records are shared, one in another.
    servers: Vec<String>,
    client: Client,
    report: Report,
}

impl Play {
    async fn scenes(&mut self) -> anyhow::Result<()> {
        self.report.step("what was sent", "what came back", "what really happened");
        self.report.scene("A payment, its retry, and two mistakes");
        self.first_payment_and_retry().await?;
        self.mistakes().await?;

        let among = match self.servers.len() {
            1 => "one server",
            _ => "two servers",
        };
        self.report.scene(&format!("At the same time, on {among}"));
        self.ten_duplicates().await?;
        self.two_payments().await?;
        self.two_workers().await?;

        if self.place.is_shared() {
            self.report.scene("Killed while it charges a card (on_interrupted = \"rerun\")");
            self.killed_while_charging().await?;
            self.report.scene("Killed while it transfers (on_interrupted = \"hold\")");
            self.killed_while_transferring().await?;
        } else {
            self.report.scene("SKIPPED: a server is killed half-way");
            println!("  The records in {} die with their process.", self.place.store);
        }

        self.report.scene("The ledger: what really happened");
        for entry in self.ledger().await? {
            println!("  {entry}");
        }
        Ok(())
    }

    /// What the ledger says of one order.
    async fn happened(&self, order_id: &str) -> anyhow::Result<Happened> {
        Ok(Happened::to(order_id, &self.ledger().await?))
    }

    async fn ledger(&self) -> anyhow::Result<Vec<Entry>> {
        let ledger = self.client.get(&self.url("/ledger")).await?;
        Ok(serde_json::from_value(ledger.body)?)
    }

    async fn pay(&self, key: &str, order_id: &str, amount: u64) -> anyhow::Result<Answer> {
        self.client.post(&self.url("/payments"), Some(key), &order(order_id, amount)).await
    }

    /// Posts the same with every key, to every server in turn, all at once.
    async fn post_at_once(
        &self,
        path: &str,
        body: &Value,
        keys: impl IntoIterator<Item = Option<&'static str>>,
    ) -> anyhow::Result<Vec<Answer>> {
        let mut requests = JoinSet::new();
        for (server, key) in self.servers.iter().cycle().zip(keys) {
            let (client, url, body) =
                (self.client.clone(), format!("{server}{path}"), body.clone());
            requests.spawn(async move { client.post(&url, key, &body).await });
        }
        requests.join_all().await.into_iter().collect()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.servers[0])
    }
}

fn order(order_id: &str, amount: u64) -> Value {
    json!({ "order_id": order_id, "amount": amount })
}
