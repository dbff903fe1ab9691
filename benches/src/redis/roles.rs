//! Processes of a benchmark: this program again, told on its command line what to do.
//!
//! Parent and child speak in lines: the child says `ready`, does what each line from the parent
//! asks for, and ends when its input does.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use oncely::{Coordinator, Error};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin, stdin};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::handoff;
use crate::calls::body;

/// The first word on the command line of a child.
pub(crate) const ROLE: &str = "role";
/// No benchmark lasts so long that a waiter gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
pub(super) const BODY: Duration = Duration::from_millis(1);

/// A child, stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Actor {
    process: tokio::process::Child,
    ask: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Actor {
    /// Starts a child and waits until it is ready.
    pub(super) async fn start(words: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.kill_on_drop(true).spawn()?;
        let ask = process.stdin.take().context("the child's input")?;
        let answers = process.stdout.take().context("the child's output")?;
        let mut actor = Self { process, ask, answers: BufReader::new(answers).lines() };
        let ready = actor.answer().await?;
        ensure!(ready == "ready", "a child said {ready}");
        Ok(actor)
    }

    /// Sends a line.
    pub(super) async fn tell(&mut self, line: &str) -> Result<()> {
        Ok(self.ask.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// The next line.
    pub(super) async fn answer(&mut self) -> Result<String> {
        let line = tokio::time::timeout(PATIENCE, self.answers.next_line()).await;
        line.context("a child does not answer")??.context("a child has ended")
    }

    /// Ends it.
    pub(super) async fn end(mut self) -> Result<()> {
        drop(self.ask);
        ensure!(self.process.wait().await?.success(), "a child failed");
        Ok(())
    }
}

/// What a child does.
pub(crate) fn play(words: Vec<String>) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // One worker: many processes share the cores.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let lines = BufReader::new(stdin()).lines();
        match &words[..] {
            ["contend", url, tasks, times] => {
                contend(url, tasks.parse()?, times.parse()?, lines).await
            }
            ["handoff", who, url] => handoff::play(who, url, lines).await,
            other => bail!("no such role: {other:?}"),
        }
    })
}

/// Takes one lock over and over, in many tasks, and says how long each of them waited, in µs.
async fn contend(
    url: &str,
    tasks: usize,
    times: usize,
    mut lines: Lines<BufReader<Stdin>>,
) -> Result<()> {
    let oncely = Coordinator::connect(url).await?;
    println!("ready");
    while lines.next_line().await?.is_some() {
        let waits = take_turns(&oncely, tasks, times).await?;
        let waits: Vec<_> = waits.iter().map(|wait| wait.as_micros().to_string()).collect();
        println!("{}", waits.join(" "));
    }
    Ok(())
}

/// Takes one lock over and over in so many tasks, for 1 ms each time; how long each waited.
pub(super) async fn take_turns(
    oncely: &Coordinator,
    tasks: usize,
    times: usize,
) -> Result<Vec<Duration>> {
    let oncely = Arc::new(oncely.clone());
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let oncely = Arc::clone(&oncely);
        running.spawn(async move {
            let mut waits = Vec::new();
            for _ in 0..times {
                let asked = Instant::now();
                let wait = oncely.lock("contended").wait(PATIENCE).run(|_| async {
                    let waited = asked.elapsed();
                    body(BODY).await;
                    Ok::<_, Error>(waited)
                });
                waits.push(wait.await?);
            }
            anyhow::Ok(waits)
        });
    }
    let mut waits = Vec::new();
    while let Some(of_one) = running.join_next().await {
        waits.extend(of_one??);
    }
    Ok(waits)
}
