//! What happens when: every row of the promise as a test, on every store.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod context;
mod deadlocks;
mod doubts;
mod errors;
mod extremes;
mod fused;
mod guards;
mod interruption;
mod keys;
mod leases;
mod lines;
mod locks;
mod no_runtime;
mod outages;
mod outcomes;
mod recorded;
mod replay;
mod replay_cache;
mod resolving;
mod reuse;
mod runtimes;
mod shutdown;
mod waiting;

use std::future::Future;

use oncely::{Call, Coordinator, Error, Idempotent, Outcome};
use oncely_tests::{Counter, Stage, ms, soon};
use tokio::task::JoinHandle;

/// A call of the operation `pay` with this key.
fn pay(oncely: &Coordinator, key: &str) -> Idempotent {
    oncely.idempotent("pay", key)
}

/// A body that counts its runs and gives their number.
fn counted(ran: &Counter) -> impl FnOnce(Call) -> std::future::Ready<Result<usize, Error>> + use<> {
    let ran = ran.clone();
    move |_| std::future::ready(Ok(ran.up()))
}

/// Starts a call on a task of its own and waits until its body stands on the stage, from where it
/// gives its attempt.
async fn on_stage(call: Idempotent, stage: &Stage) -> JoinHandle<Result<Outcome<u32>, Error>> {
    let body_stage = stage.clone();
    let task = spawn(call.run(move |call| async move {
        body_stage.enter().await;
        Ok(call.attempt())
    }));
    soon(stage.entered()).await;
    task
}

/// As [`on_stage`], for a lock.
async fn lock_on_stage(lock: oncely::Lock, stage: &Stage) -> JoinHandle<Result<u32, Error>> {
    let body_stage = stage.clone();
    let task = spawn(lock.run(move |call| async move {
        body_stage.enter().await;
        Ok(call.attempt())
    }));
    soon(stage.entered()).await;
    task
}

/// Lets those who were spawned come to stand in line, which nobody can see from outside.
async fn lined_up() {
    tokio::time::sleep(ms(50)).await;
}

/// Every protected call can move to another thread.
fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(work)
}

/// Ends a task and waits until it is gone.
async fn abort<T: std::fmt::Debug>(task: JoinHandle<T>) {
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}
