//! How many calls an SQLite store serves: `cargo bench -p oncely-tests --bench sqlite`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oncely::store::{Acquired, Key, LeaseRequest, Store, StoredOutcome, Update};
use oncely_tests::sqlite::SqliteFixture;

const LONG: Duration = Duration::from_secs(60);
const RUN: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let fixture = SqliteFixture::new();
    let store: Arc<dyn Store> = Arc::new(fixture.open().await);
    for tasks in [1, 16] {
        let count = Arc::new(AtomicUsize::new(0));
        let pairs = run(tasks, &store, move |store| {
            let name = format!("{tasks} {}", count.fetch_add(1, Ordering::Relaxed));
            async move { pair(&*store, &name).await }
        });
        println!("{tasks:2} tasks: {:8.0} acquire+complete pairs/s", pairs.await);
    }
    for tasks in [1, 16] {
        let replays = run(tasks, &store, |store| async move { replay(&*store).await });
        println!("{tasks:2} tasks: {:8.0} replays/s", replays.await);
    }
}

/// How often `step` runs in a second.
async fn run<F>(
    tasks: usize,
    store: &Arc<dyn Store>,
    step: impl Fn(Arc<dyn Store>) -> F + Clone + Send + 'static,
) -> f64
where
    F: Future<Output = ()> + Send,
{
    let started = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let (store, step) = (Arc::clone(store), step.clone());
        running.spawn(async move {
            let mut steps = 0;
            while started.elapsed() < RUN {
                step(Arc::clone(&store)).await;
                steps += 1;
            }
            steps
        });
    }
    let steps: usize = running.join_all().await.into_iter().sum();
    steps as f64 / started.elapsed().as_secs_f64()
}

async fn pair(store: &dyn Store, name: &str) {
    let request = LeaseRequest::new(Key::lock("bench", name).unwrap(), LONG);
    let Acquired::Leases(leases) = store.acquire(&[request]).await.unwrap() else { panic!() };
    let outcome = StoredOutcome::Value(vec![b'x'; 200].into());
    let complete = Update::Complete { outcome, retention: LONG };
    store.update(&[(leases[0].clone(), complete)]).await.unwrap();
}

async fn replay(store: &dyn Store) {
    let request = LeaseRequest::new(Key::lock("bench", "1 0").unwrap(), LONG);
    let Acquired::Occupied(_) = store.acquire(&[request]).await.unwrap() else { panic!() };
}
