//! What clients do: they send twice, hang up, and try again. Every promise is checked.

use std::time::Duration;

use anyhow::ensure;
use axum::http::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::client::{Answer, Client};
use crate::service::Server;

pub(crate) async fn run() -> anyhow::Result<()> {
    let server = Server::start().await?;
    println!("the service is on http://{}\n", server.address());
    let (ann, bob) = (Client::new("ann", server.address()), Client::new("bob", server.address()));

    a_retry(&ann).await?;
    the_same_key_of_two_users(&ann, &bob).await?;
    a_correction(&ann).await?;
    a_client_that_hangs_up(&bob).await?;
    a_change_that_adds_up(&ann).await?;
    a_cancellation(&ann).await?;

    server.stop().await?;
    println!("\nevery promise kept");
    Ok(())
}

async fn a_retry(ann: &Client) -> anyhow::Result<()> {
    let order = json!({ "article": "tea", "pieces": 2 });
    let first = ann.send(Method::POST, "/orders", Some("k-1"), &order).await?;
    let retry = ann.send(Method::POST, "/orders", Some("k-1"), &order).await?;
    say("ann orders tea", &first);
    say("the same again", &retry);
    ensure!(first.status == 201 && retry.status == 201);
    ensure!(retry.replayed && !first.replayed && retry.body == first.body);
    ensure!(ann.orders().await?.len() == 1, "one order, whatever was sent");
    Ok(())
}

async fn the_same_key_of_two_users(ann: &Client, bob: &Client) -> anyhow::Result<()> {
    let order = json!({ "article": "coffee", "pieces": 1 });
    let of_bob = bob.send(Method::POST, "/orders", Some("k-1"), &order).await?;
    say("bob orders coffee, with the key that ann used", &of_bob);
    ensure!(of_bob.status == 201 && !of_bob.replayed, "bob gets his own answer");
    let other = ann.send(Method::POST, "/orders", Some("k-1"), &order).await?;
    say("ann orders coffee, with the key of her tea", &other);
    ensure!(other.status == 422, "one key stands for one request");
    Ok(())
}

async fn a_correction(ann: &Client) -> anyhow::Result<()> {
    let before = ann.orders().await?.len();
    let wrong = json!({ "article": "milk", "pieces": 0 });
    let refused = ann.send(Method::POST, "/orders", Some("k-2"), &wrong).await?;
    say("ann orders no milk", &refused);
    let right = json!({ "article": "milk", "pieces": 1 });
    let placed = ann.send(Method::POST, "/orders", Some("k-2"), &right).await?;
    say("and corrects it, with the same key", &placed);
    ensure!(refused.status == 422 && placed.status == 201);
    ensure!(ann.orders().await?.len() == before + 1);
    Ok(())
}

async fn a_client_that_hangs_up(bob: &Client) -> anyhow::Result<()> {
    let before = bob.orders().await?.len();
    let order = json!({ "article": "sugar", "pieces": 3 });
    let request = bob.send(Method::POST, "/orders", Some("k-3"), &order);
    let impatient = timeout(Duration::from_millis(50), request).await;
    ensure!(impatient.is_err(), "the warehouse takes longer than that");
    println!("  bob orders sugar, and hangs up before the answer");
    let retry = bob.send(Method::POST, "/orders", Some("k-3"), &order).await?;
    say("and asks again", &retry);
    ensure!(retry.status == 201 && retry.replayed, "the first request came to its end");
    ensure!(bob.orders().await?.len() == before + 1);
    Ok(())
}

/// Without a key of its own: the client makes one, and keeps it for its tries.
async fn a_change_that_adds_up(ann: &Client) -> anyhow::Result<()> {
    let more = json!({ "more_pieces": 5 });
    let changed = ann.send(Method::PATCH, "/orders/1", None, &more).await?;
    say("ann wants five more", &changed);
    let order: Value = serde_json::from_slice(&changed.body)?;
    ensure!(order["pieces"] == 7);
    Ok(())
}

async fn a_cancellation(ann: &Client) -> anyhow::Result<()> {
    for again in [false, true] {
        let answer = ann.send(Method::POST, "/orders/1/cancel", Some("k-4"), &Value::Null).await?;
        say(if again { "and again" } else { "ann cancels her tea" }, &answer);
        ensure!(answer.status == 200 && answer.replayed == again);
    }
    let missing = ann.send(Method::POST, "/orders/1/cancel", Some("a b"), &Value::Null).await?;
    say("with a key that is none", &missing);
    ensure!(missing.status == 400);
    Ok(())
}

fn say(what: &str, answer: &Answer) {
    let replayed = if answer.replayed { ", replayed" } else { "" };
    println!("  {what:<48}{}{replayed}", answer.status.as_u16());
}
