//! Medians, and who takes turns.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

/// The middle one.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// The middle one, in µs.
pub(crate) fn median_micros(times: impl IntoIterator<Item = Duration>) -> f64 {
    median(times.into_iter().map(|time| time.as_secs_f64() * 1e6))
}

/// The medians of several competitors over many rounds, in which they take turns, so that whatever
/// else the machine does falls on all of them.
#[derive(Debug)]
pub(crate) struct Rounds<const N: usize>([Vec<f64>; N]);

impl<const N: usize> Rounds<N> {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| Vec::new()))
    }

    pub(crate) fn add(&mut self, round: [f64; N]) {
        for (all, one) in self.0.iter_mut().zip(round) {
            all.push(one);
        }
    }

    pub(crate) fn medians(self) -> [f64; N] {
        self.0.map(median)
    }
}

/// How long one of `times` runs of `work` takes, in ns.
pub(crate) async fn nanos_of_one(times: u64, mut work: impl AsyncFnMut(u64)) -> f64 {
    let start = Instant::now();
    for number in 0..times {
        work(number).await;
    }
    start.elapsed().as_nanos() as f64 / times as f64
}

/// Something that is done over and over, each time with another number.
pub(crate) type Step =
    Arc<dyn Fn(u64) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// A step from a closure.
pub(crate) fn step<F>(one: impl Fn(u64) -> F + Send + Sync + 'static) -> Step
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    Arc::new(move |number| Box::pin(one(number)))
}

/// How many steps were done in a second, and how long the middle one took in µs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) rate: f64,
    pub(crate) median: f64,
}

/// Repeats a step in so many tasks for so long; each does the next when its last is done.
pub(crate) async fn load(tasks: usize, time: Duration, one: &Step) -> Result<Load> {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let one = Arc::clone(one);
        running.spawn(async move {
            let mut times = Vec::new();
            while start.elapsed() < time {
                let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
                let begun = Instant::now();
                one(number).await?;
                times.push(begun.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(of_one) = running.join_next().await {
        times.extend(of_one??);
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    Ok(Load { rate, median: median_micros(times) })
}
