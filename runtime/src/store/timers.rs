//! Time limits for work that is nearly always faster.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use parking_lot::Mutex;
use tokio::runtime::Id;
use tokio::time::{Instant, Sleep, sleep_until};

/// So many timers stay for the work to come.
const SPARE: usize = 64;

/// Timers for one limit after the other. Each is of use only in the runtime that it was set in.
///
/// To set a timer and to take it back is dear beside a command. So one that was set for earlier work
/// stays as it is, and is set anew where it goes off too early: once in the length of a limit, and not
/// once for each command. One that would go off too late is set anew at once, which is seldom: limits
/// of one length end in the order in which they began.
#[derive(Default)]
pub(super) struct Timers(Mutex<Vec<Timer>>);

struct Timer {
    runtime: Id,
    sleep: Pin<Box<Sleep>>,
}

impl Timers {
    /// What `work` gives until then; `None` past it. `runtime` is the one that this runs in.
    ///
    /// # Cancel safety
    /// Dropped, `work` is where it was.
    pub(super) async fn within<T>(
        &self,
        runtime: Id,
        until: Instant,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        let mut sleep = self.take(runtime).unwrap_or_else(|| Box::pin(sleep_until(until)));
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        let done = poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            while sleep.as_mut().poll(context).is_ready() {
                if Instant::now() >= until {
                    return Poll::Ready(None);
                }
                sleep.as_mut().reset(until);
            }
            Poll::Pending
        })
        .await;
        self.put(Timer { runtime, sleep });
        done
    }

    fn take(&self, runtime: Id) -> Option<Pin<Box<Sleep>>> {
        let mut spare = self.0.lock();
        let at = spare.iter().rposition(|timer| timer.runtime == runtime)?;
        Some(spare.swap_remove(at).sleep)
    }

    /// Those of runtimes that ended are of no use; they go when there are too many.
    fn put(&self, timer: Timer) {
        let mut spare = self.0.lock();
        if spare.len() < SPARE {
            spare.push(timer);
        } else if let Some(other) = spare.iter_mut().find(|other| other.runtime != timer.runtime) {
            *other = timer;
        }
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timers").field(&self.0.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::time::Duration;

    use tokio::runtime::{Builder, Handle};
    use tokio::task::yield_now;
    use tokio::time::{Instant, sleep};

    use super::Timers;

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_set_for_earlier_work_keeps_the_limit_of_its_next() {
        let (timers, runtime) = (Timers::default(), Handle::current().id());
        let second = Duration::from_secs(1);
        let began = Instant::now();
        assert_eq!(timers.within(runtime, began + second, pin!(yield_now())).await, Some(()));
        sleep(second / 2).await;
        // Longer than what the timer is set for, and just within the new limit.
        let done = timers.within(runtime, began + 2 * second, pin!(sleep(second))).await;
        assert_eq!((done, began.elapsed().as_secs()), (Some(()), 1));
        let late = timers.within(runtime, began + 3 * second, pin!(pending::<()>())).await;
        assert_eq!((late, began.elapsed().as_secs()), (None, 3));
        // The timer has gone off, and is of use again.
        let late = timers.within(runtime, began + 4 * second, pin!(pending::<()>())).await;
        assert_eq!((late, began.elapsed().as_secs()), (None, 4));
        assert_eq!(timers.within(runtime, began, pin!(ready(7))).await, Some(7));
        // It is set for later than the limit of what began before and comes to it only now.
        let began = Instant::now();
        assert_eq!(timers.within(runtime, began + 9 * second, pin!(yield_now())).await, Some(()));
        let late = timers.within(runtime, began + second, pin!(pending::<()>())).await;
        assert_eq!((late, began.elapsed().as_secs()), (None, 1));
        assert_eq!(timers.0.lock().len(), 1);
    }

    #[test]
    fn timers_of_a_runtime_that_has_ended_are_left_alone() -> std::io::Result<()> {
        let timers = Timers::default();
        for runtimes in 1..=2 {
            Builder::new_current_thread().enable_time().build()?.block_on(async {
                let (runtime, moment) = (Handle::current().id(), Duration::from_millis(5));
                let done = timers.within(runtime, Instant::now() + moment, pin!(yield_now())).await;
                assert_eq!(done, Some(()));
                let until = Instant::now() + moment;
                assert_eq!(timers.within(runtime, until, pin!(pending::<()>())).await, None);
            });
            assert_eq!(timers.0.lock().len(), runtimes);
        }
        Ok(())
    }
}
