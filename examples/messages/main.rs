//! A consumer of messages on oncely: Redis Streams deliver at least once, and each has one effect.
//!
//! Starts a `redis-server` of its own, a producer that sends one message twice, and two consumers, of
//! which the first is killed after it did what a message says and before it could say so.

mod consumer;
mod ledger;
mod server;

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use self::consumer::{Consumer, GROUP, STREAM};
use self::ledger::Ledger;
use self::server::Server;

const PATIENCE: Duration = Duration::from_secs(20);

/// The messages by their own ids, and the orders to charge. One is sent twice, as a producer does
/// that has not heard whether the first time arrived.
const MESSAGES: [(&str, &str); 5] = [
    ("m-1", "order-1"),
    ("m-2", "order-2"),
    ("m-2", "order-2"),
    ("m-3", "order-3"),
    ("m-4", "order-4"),
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = match *arguments.as_slice() {
        [] => play().await,
        ["consume", name, url, ledger] => consume(name, url, ledger, None).await,
        ["consume", name, url, ledger, last] => consume(name, url, ledger, Some(last)).await,
        _ => Err(anyhow::anyhow!("messages takes no arguments")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn play() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let ledger = Ledger::at(server.folder().join("ledger"));
    let mut redis = server.connect().await?;
    redis::cmd("XGROUP")
        .arg(&["CREATE", STREAM, GROUP, "0", "MKSTREAM"])
        .exec_async(&mut redis)
        .await?;
    for (id, order) in MESSAGES {
        let fields = [STREAM, "*", "id", id, "order", order, "cents", "1200"];
        redis::cmd("XADD").arg(&fields).exec_async(&mut redis).await?;
    }
    println!("sent {} messages, one of them twice", MESSAGES.len() - 1);

    let mut first = spawn("first", &server, &ledger, Some("m-3"))?;
    wait_for(&mut first, "not acknowledging m-3").await?;
    first.kill().await?;
    println!("killed the first consumer after it charged order-3, before it said so");

    let mut second = spawn("second", &server, &ledger, None)?;
    wait_for(&mut second, "nothing left").await?;
    second.kill().await?;

    let charged = ledger.lines()?;
    println!("\ncharged: {}", charged.join(", "));
    let expected = ["order-1", "order-2", "order-3", "order-4"];
    ensure!(charged == expected, "every order is charged once, not {charged:?}");
    let pending: redis::Value =
        redis::cmd("XPENDING").arg(&[STREAM, GROUP]).query_async(&mut redis).await?;
    let none_left =
        matches!(&pending, redis::Value::Array(of) if of.first() == Some(&redis::Value::Int(0)));
    ensure!(none_left, "every message is acknowledged, not {pending:?}");
    println!("5 deliveries and 1 redelivery had 4 effects, and every message is acknowledged");
    Ok(())
}

/// The part of a consumer: a process of its own, so that it can be killed.
async fn consume(name: &str, url: &str, ledger: &str, last: Option<&str>) -> anyhow::Result<()> {
    Consumer::connect(name, url, Ledger::at(ledger.into())).await?.run(last).await
}

fn spawn(
    name: &str,
    server: &Server,
    ledger: &Ledger,
    last: Option<&str>,
) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["consume", name, &server.url()]).arg(ledger.path()).args(last);
    Ok(command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?)
}

/// Shows what a consumer says, until it says `this`.
async fn wait_for(consumer: &mut Child, this: &str) -> anyhow::Result<()> {
    let output = consumer.stdout.take().context("its output")?;
    let mut lines = BufReader::new(output).lines();
    timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await? {
            println!("  {line}");
            if line.ends_with(this) {
                return Ok(());
            }
        }
        anyhow::bail!("a consumer ended by itself")
    })
    .await
    .with_context(|| format!("no consumer said `{this}`"))?
}
