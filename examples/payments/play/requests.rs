//! Scenes in which only the client misbehaves.

use serde_json::Value;

use super::{Play, order};
use crate::client::Answer;

impl Play {
    pub(super) async fn first_payment_and_retry(&mut self) -> anyhow::Result<()> {
        let first = self.pay("p-1", "order-1", 1200).await?;
        let card = self.happened("order-1").await?;
        self.report.step("pay 1200 for order-1, key p-1", &first, card);
        self.report.promise("a payment charges once", first.status == 200 && card.charged == 1);

        let retry = self.pay("p-1", "order-1", 1200).await?;
        let card = self.happened("order-1").await?;
        self.report.step("the same again", &retry, card);
        let same = retry.repeats(&first);
        self.report.promise("a retry gets the receipt of the first call", same);
        let said = retry.replayed && !first.replayed;
        self.report.promise("a replay says that it is one", said);
        self.report.promise("a retry does not reach the card processor", card.asked == 1);
        Ok(())
    }

    pub(super) async fn mistakes(&mut self) -> anyhow::Result<()> {
        let other = self.pay("p-1", "order-1", 9900).await?;
        let card = self.happened("order-1").await?;
        self.report.step("pay 9900 for order-1, key p-1", &other, card);
        self.report.promise("one key stands for one payment", other.status == 422);
        self.report.promise("a refused payment charges nothing", card.asked == 1);

        let body = order("order-0", 1200);
        let keyless = self.client.post(&self.url("/payments"), None, &body).await?;
        let card = self.happened("order-0").await?;
        self.report.step("pay 1200 for order-0, no key", &keyless, card);
        self.report.promise("a payment without a key is refused", keyless.status == 400);
        self.report.promise("a payment without a key charges nothing", card.asked == 0);
        Ok(())
    }

    pub(super) async fn ten_duplicates(&mut self) -> anyhow::Result<()> {
        let body = order("order-2", 1200);
        let answers = self.post_at_once("/payments", &body, [Some("p-2"); 10]).await?;
        let card = self.happened("order-2").await?;
        let all_equal = answers.windows(2).all(|pair| pair[0].repeats(&pair[1]));
        let came_back = match all_equal {
            true => format!("10 times {}", Answer { replayed: false, ..answers[0].clone() }),
            false => "10 answers that differ".to_owned(),
        };
        self.report.step("10 times pay 1200 for order-2, key p-2", came_back, card);
        let one_receipt = all_equal && answers[0].status == 200;
        self.report.promise("concurrent duplicates get one receipt", one_receipt);
        let one_charge = card.asked == 1 && card.charged == 1;
        self.report.promise("concurrent duplicates charge once", one_charge);
        Ok(())
    }

    pub(super) async fn two_payments(&mut self) -> anyhow::Result<()> {
        let body = order("order-3", 1200);
        let keys = [Some("p-3"), Some("q-3")];
        let mut answers = self.post_at_once("/payments", &body, keys).await?;
        answers.sort_by_key(|answer| answer.status);
        let card = self.happened("order-3").await?;
        for (payment, answer) in ["one payment", "another"].iter().zip(&answers) {
            self.report.step(format!("pay 1200 for order-3, {payment}"), answer, card);
        }
        self.report.promise("two payments of one order charge once", card.charged == 1);
        let refused = answers.iter().map(|a| a.status.as_u16()).eq([200, 409]);
        self.report.promise("the later payment waits and sees that the order is paid", refused);
        Ok(())
    }

    pub(super) async fn two_workers(&mut self) -> anyhow::Result<()> {
        let path = "/orders/order-3/ship";
        let mut answers = self.post_at_once(path, &Value::Null, [None; 2]).await?;
        answers.sort_by_key(|answer| answer.body["already_shipped"].as_bool());
        let order = self.happened("order-3").await?;
        for (worker, answer) in ["one worker", "another"].iter().zip(&answers) {
            self.report.step(format!("ship order-3, {worker}"), answer, order);
        }
        self.report.promise("an order is shipped once", order.shipped == 1);
        let already: Vec<_> = answers.iter().map(|a| a.body["already_shipped"].as_bool()).collect();
        let waited = already == [Some(false), Some(true)];
        self.report.promise("the later worker waits and sees the parcel of the other", waited);
        Ok(())
    }
}
