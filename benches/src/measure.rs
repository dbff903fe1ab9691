//! Medians, and who takes turns.

use std::time::{Duration, Instant};

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
