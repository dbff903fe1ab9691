//! What is kept: leases by renewal, records in the server's memory.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use oncely::{Coordinator, LockGuard};
use tokio::task::JoinSet;

use super::server::Server;
use crate::calls::pay;
use crate::receipt;
use crate::table::{Goal, Row};

const LEASES: usize = 10_000;
const LEASE: Duration = Duration::from_secs(30);
/// The renewer comes three times in each lease.
const ROUND: Duration = Duration::from_secs(10);
const ROUNDS: u32 = 2;

/// All rows.
pub(super) async fn rows(server: &Server) -> Result<Vec<Row>> {
    server.clear().await?;
    let mut rows = vec![record_overhead(server).await?];
    rows.extend(renewal(server).await?);
    Ok(rows)
}

/// 10,000 leases of 30 s, over two rounds of renewal: commands for each round, and how much of one
/// core this process spends on it. The server's own share is not in it.
async fn renewal(server: &Server) -> Result<Vec<Row>> {
    let oncely = Coordinator::connect(&server.url()).await?;
    let mut locks = JoinSet::new();
    for number in 0..LEASES {
        let lock = oncely.lock(format!("kept:{number}")).lease(LEASE);
        locks.spawn(lock.acquire());
    }
    let guards: Vec<LockGuard> = locks.join_all().await.into_iter().collect::<Result<_, _>>()?;
    // Half-way between two rounds, so that whole rounds are counted.
    tokio::time::sleep(ROUND / 2).await;
    let (before, spent, start) = (server.commands().await?, cpu_seconds()?, Instant::now());
    tokio::time::sleep(ROUND * ROUNDS).await;
    let cpu = (cpu_seconds()? - spent) / start.elapsed().as_secs_f64();
    let commands = (server.commands().await? - before) / f64::from(ROUNDS);
    let lost = guards.iter().filter(|guard| guard.remaining().is_zero()).count();
    anyhow::ensure!(lost == 0, "{lost} leases were lost");
    drop(guards);
    oncely.shutdown(Duration::from_secs(10)).await;
    Ok(vec![
        Row::figure("renewal_commands", commands, "commands", Goal::AtMost(200.0)),
        Row::figure("renewal_cpu", cpu, "cores", Goal::AtMost(0.05)),
    ])
}

/// What a completed record takes beside its outcome.
async fn record_overhead(server: &Server) -> Result<Row> {
    let oncely = Coordinator::connect(&server.url()).await?;
    pay(&oncely, 1).await?;
    let bytes = server.memory("oncely/call/pay//pay:1").await? - receipt::BYTES as f64;
    Ok(Row::figure("record_overhead", bytes, "bytes", Goal::AtMost(200.0)))
}

/// The processor time that this process has used.
fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("benchmarks run on Linux")?;
    // The name in brackets may hold anything; user and system time are words 14 and 15 of all.
    let (_, words) = stat.rsplit_once(") ").context("a process")?;
    let mut ticks = words.split(' ').skip(11).take(2).map(str::parse::<f64>);
    let (user, system) =
        (ticks.next().context("user time")??, ticks.next().context("system time")??);
    const TICKS_PER_SECOND: f64 = 100.0;
    Ok((user + system) / TICKS_PER_SECOND)
}
