//! Many calls of the same thing at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use oncely::{Coordinator, Error};
use tokio::task::JoinSet;

use super::server::Server;
use crate::calls::body;
use crate::measure::median;
use crate::table::{Goal, Row};

const ROUNDS: usize = 21;
const CALLS: usize = 100;
const BODY: Duration = Duration::from_millis(20);

/// All rows: 100 duplicates in one process, whose body takes 20 ms.
pub(super) async fn rows(server: &Server) -> Result<Vec<Row>> {
    let oncely = Coordinator::connect(&server.url()).await?;
    let (mut bodies, mut commands, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let ran = Arc::new(AtomicU64::new(0));
        let before = server.commands().await?;
        let start = Instant::now();
        let mut calls = JoinSet::new();
        for _ in 0..CALLS {
            let (oncely, ran) = (oncely.clone(), Arc::clone(&ran));
            calls.spawn(async move {
                let call = oncely.idempotent("duplicates", format!("{round}")).run(|_| async {
                    body(BODY).await;
                    Ok::<_, Error>(ran.fetch_add(1, Ordering::Relaxed))
                });
                call.await.map(oncely::Outcome::into_value)
            });
        }
        while let Some(value) = calls.join_next().await {
            ensure!(value?? == 0, "a duplicate got another answer");
        }
        lasts.push(start.elapsed().as_secs_f64() * 1e3);
        commands.push(server.commands().await? - before);
        bodies.push(ran.load(Ordering::Relaxed) as f64);
    }
    let most = |numbers: Vec<f64>| numbers.into_iter().fold(0.0, f64::max);
    Ok(vec![
        Row::figure("duplicates_bodies", most(bodies), "bodies", Goal::AtMost(1.0)),
        Row::figure("duplicates_commands", most(commands), "commands", Goal::AtMost(6.0)),
        Row::figure("duplicates_last_ms", median(lasts), "ms", Goal::AtMost(23.0)),
    ])
}
