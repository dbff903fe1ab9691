//! Scenes in which a server is killed half-way through a call.

use serde_json::{Value, json};

use super::{Play, order};
use crate::client::Answer;
use crate::ledger::{Entry, Event};
use crate::outside::Moment;
use crate::second::Second;

const KILLED_IN_TIME: &str = "the server is killed when it is meant to be";

impl Play {
    /// An interrupted payment is run again: the processor recognizes the key that it was handed.
    pub(super) async fn killed_while_charging(&mut self) -> anyhow::Result<()> {
        for (moment, key, order_id) in [
            (Moment::BeforeTheEffect, "p-4", "order-4"),
            (Moment::AfterTheEffect, "p-5", "order-5"),
        ] {
            let reached = usize::from(moment == Moment::AfterTheEffect);
            self.killed_half_way("/payments", key, order_id, moment).await?;
            let card = self.happened(order_id).await?;
            let sent = format!("pay 1200 for {order_id}, key {key}");
            self.report.step(sent, format!("killed {moment} charge"), card);
            self.report.promise(KILLED_IN_TIME, card.charged == reached);

            let retry = self.pay(key, order_id, 1200).await?;
            let card = self.happened(order_id).await?;
            self.report.step("the same again, to another server", &retry, card);
            let second_attempt = retry.status == 200 && retry.body["attempt"] == 2;
            self.report.promise("an interrupted payment is run again", second_attempt);
            let asked_once_more = card.asked == reached + 1;
            self.report.promise("the second attempt asks the processor once", asked_once_more);
            self.report.promise("two attempts charge once", card.charged == 1);
        }
        Ok(())
    }

    /// An interrupted transfer is held until a person has looked at the ledger.
    pub(super) async fn killed_while_transferring(&mut self) -> anyhow::Result<()> {
        for (moment, key, order_id) in [
            (Moment::BeforeTheEffect, "t-6", "order-6"),
            (Moment::AfterTheEffect, "t-7", "order-7"),
        ] {
            let reached = usize::from(moment == Moment::AfterTheEffect);
            self.killed_half_way("/transfers", key, order_id, moment).await?;
            let bank = self.happened(order_id).await?;
            let sent = format!("transfer 1200 for {order_id}, key {key}");
            self.report.step(sent, format!("killed {moment} transfer"), bank);
            self.report.promise(KILLED_IN_TIME, bank.transferred == reached);

            let refused = self.transfer(key, order_id).await?;
            let bank = self.happened(order_id).await?;
            self.report.step("the same again, to another server", &refused, bank);
            let held = refused.status == 409 && refused.problem() == Some("interrupted");
            self.report.promise("an interrupted transfer is held", held);
            self.report.promise("a held transfer is not run", bank.transferred == reached);

            self.resolved_by_an_operator(key, order_id).await?;
        }
        Ok(())
    }

    /// A person looks at the ledger, and says whether the transfer that was refused stands.
    async fn resolved_by_an_operator(&mut self, key: &str, order_id: &str) -> anyhow::Result<()> {
        let found = self.receipt_of(order_id).await?;
        let finding = match &found {
            Some(receipt) => format!("{} stands", receipt["id"].as_str().unwrap_or("it")),
            None => "it never happened".to_owned(),
        };
        let resolution = json!({ "key": key, "receipt": found });
        let resolved = self.client.post(&self.url("/transfers/resolve"), None, &resolution).await?;
        let bank = self.happened(order_id).await?;
        self.report.step(format!("an operator looks: {finding}"), &resolved, bank);
        self.report.promise("an operator can resolve it", resolved.body["resolved"] == true);

        let retry = self.transfer(key, order_id).await?;
        let bank = self.happened(order_id).await?;
        self.report.step("the same once more", &retry, bank);
        let answered = retry.status == 200 && found.is_none_or(|receipt| retry.body == receipt);
        self.report.promise("a resolved transfer is answered as it was resolved", answered);
        self.report.promise("a transfer happens once", bank.transferred == 1);
        Ok(())
    }

    /// Sends a request to a new server, and kills it in the middle of the call.
    async fn killed_half_way(
        &self,
        path: &str,
        key: &'static str,
        order_id: &str,
        moment: Moment,
    ) -> anyhow::Result<()> {
        let mut victim = Second::start(&self.place, Some(moment)).await?;
        let (client, url) = (self.client.clone(), format!("{}{path}", victim.url()));
        let body = order(order_id, 1200);
        let request = tokio::spawn(async move { client.post(&url, Some(key), &body).await });
        victim.reaches(moment).await?;
        victim.kill().await?;
        anyhow::ensure!(request.await?.is_err(), "a killed server answers");
        Ok(())
    }

    async fn transfer(&self, key: &str, order_id: &str) -> anyhow::Result<Answer> {
        self.client.post(&self.url("/transfers"), Some(key), &order(order_id, 1200)).await
    }

    /// The receipt for a transfer that stands in the ledger.
    async fn receipt_of(&self, order_id: &str) -> anyhow::Result<Option<Value>> {
        let is_it = |e: &Entry| e.event == Event::Transferred && e.order_id == order_id;
        let entry = self.ledger().await?.into_iter().find(is_it);
        Ok(entry.map(|entry| {
            let mut receipt = order(order_id, 1200);
            receipt["id"] = entry.id.into();
            receipt["attempt"] = 1.into();
            receipt
        }))
    }
}
