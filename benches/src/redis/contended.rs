//! One key that many want: in one process, in several, and by a crowd.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use oncely::Coordinator;

use super::roles::{Actor, BODY, take_turns};
use super::server::Server;
use crate::calls::body;
use crate::measure::{Rounds, median};
use crate::table::{Goal, Row};

const ROUNDS: usize = 5;

/// All rows.
pub(super) async fn rows(server: &Server) -> Result<Vec<Row>> {
    let mut rows = local(server).await?;
    rows.extend(processes(server).await?);
    rows.push(herd(server).await?);
    Ok(rows)
}

/// 64 tasks of one process.
async fn local(server: &Server) -> Result<Vec<Row>> {
    const TASKS: usize = 64;
    const TIMES: usize = 6;
    let oncely = Coordinator::connect(&server.url()).await?;
    let mut rounds = Rounds::new();
    for _ in 0..ROUNDS {
        let ideal = one_after_another(TASKS * TIMES).await;
        let before = server.commands().await?;
        let start = Instant::now();
        take_turns(&oncely, TASKS, TIMES).await?;
        let rate = rate(TASKS * TIMES, start.elapsed());
        let commands = server.commands().await? - before;
        rounds.add([rate, ideal, commands / (TASKS * TIMES) as f64]);
    }
    let [rate, ideal, commands] = rounds.medians();
    Ok(vec![
        Row::compared("contended_local", [rate, ideal], "ops/s", Goal::AtLeast(0.97)),
        Row::figure("contended_local_commands", commands, "commands", Goal::AtMost(0.15)),
    ])
}

/// 4 processes with 16 tasks each.
async fn processes(server: &Server) -> Result<Vec<Row>> {
    const PROCESSES: usize = 4;
    const TASKS: usize = 16;
    const TIMES: usize = 6;
    let mut actors = start(server, PROCESSES, TASKS, TIMES).await?;
    let mut rounds = Rounds::new();
    for _ in 0..ROUNDS {
        let ideal = one_after_another(PROCESSES * TASKS * TIMES).await;
        let before = server.commands().await?;
        let start = Instant::now();
        let waits = go(&mut actors).await?;
        let rate = rate(waits.len(), start.elapsed());
        ensure!(waits.len() == PROCESSES * TASKS * TIMES, "{} waits", waits.len());
        let commands = (server.commands().await? - before) / waits.len() as f64;
        let longest = waits.iter().copied().fold(0.0, f64::max);
        rounds.add([rate, ideal, commands, longest / median(waits)]);
    }
    end(actors).await?;
    let [rate, ideal, commands, fairness] = rounds.medians();
    Ok(vec![
        Row::compared("contended_processes", [rate, ideal], "ops/s", Goal::AtLeast(0.80)),
        Row::figure("contended_processes_commands", commands, "commands", Goal::AtMost(4.0)),
        Row::figure("contended_processes_fairness", fairness, "× median wait", Goal::AtMost(3.0)),
    ])
}

/// 10 processes with 100 tasks each, all of which wait for the same holder first.
async fn herd(server: &Server) -> Result<Row> {
    const PROCESSES: usize = 10;
    const TASKS: usize = 100;
    let oncely = Coordinator::connect(&server.url()).await?;
    let mut actors = start(server, PROCESSES, TASKS, 1).await?;
    let mut rounds = Rounds::new();
    for _ in 0..3 {
        let guard = oncely.lock("contended").acquire().await?;
        let before = server.commands().await?;
        let release = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            guard.release().await
        };
        let (waits, released) = tokio::join!(go(&mut actors), release);
        let (waits, ()) = (waits?, released?);
        ensure!(waits.len() == PROCESSES * TASKS, "{} waits", waits.len());
        rounds.add([(server.commands().await? - before) / waits.len() as f64]);
    }
    end(actors).await?;
    let [commands] = rounds.medians();
    Ok(Row::figure("herd_commands", commands, "commands", Goal::AtMost(4.0)))
}

/// How many bodies a second make when nobody has to wait for anybody: they run one after another,
/// without a lock.
async fn one_after_another(bodies: usize) -> f64 {
    let start = Instant::now();
    // On a worker, as those with a lock are.
    let serial = tokio::spawn(async move {
        for _ in 0..bodies {
            body(BODY).await;
        }
    });
    let _ = serial.await;
    rate(bodies, start.elapsed())
}

fn rate(bodies: usize, time: Duration) -> f64 {
    bodies as f64 / time.as_secs_f64()
}

async fn start(
    server: &Server,
    processes: usize,
    tasks: usize,
    times: usize,
) -> Result<Vec<Actor>> {
    let mut actors = Vec::new();
    for _ in 0..processes {
        let (url, tasks, times) = (server.url(), tasks.to_string(), times.to_string());
        actors.push(Actor::start(&["contend", &url, &tasks, &times]).await?);
    }
    Ok(actors)
}

/// Lets all begin, and collects how long each waited, in µs.
async fn go(actors: &mut [Actor]) -> Result<Vec<f64>> {
    for actor in &mut *actors {
        actor.tell("go").await?;
    }
    let mut waits = Vec::new();
    for actor in actors {
        for wait in actor.answer().await?.split_whitespace() {
            waits.push(wait.parse()?);
        }
    }
    Ok(waits)
}

async fn end(actors: Vec<Actor>) -> Result<()> {
    for actor in actors {
        actor.end().await?;
    }
    Ok(())
}
