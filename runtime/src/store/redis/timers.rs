//! Time limits for work that is nearly always faster.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// So many timers stay for the work to come.
const SPARE: usize = 64;

/// The timers of one runtime, for one limit after the other.
///
/// To set a timer and to take it back is dear beside a command. So one that was set for earlier work
/// stays as it is, and is set anew where it goes off too early: once in the length of a limit, and not
/// once for each command. One that would go off too late is set anew at once, which is seldom: limits
/// of one length end in the order in which they began.
#[derive(Default)]
pub(super) struct Timers(Mutex<Vec<Pin<Box<Sleep>>>>);

impl Timers {
    /// What `work` gives until then; `None` past it.
    ///
    /// # Cancel safety
    /// Dropped, `work` is where it was.
    pub(super) async fn within<T>(
        &self,
        until: Instant,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Option<T> {
        let spare = self.0.lock().pop();
        let mut timer = spare.unwrap_or_else(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        let done = poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Some(done));
            }
            while timer.as_mut().poll(context).is_ready() {
                if Instant::now() >= until {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(until);
            }
            Poll::Pending
        })
        .await;
        let mut spare = self.0.lock();
        if spare.len() < SPARE {
            spare.push(timer);
        }
        done
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

    use tokio::task::yield_now;
    use tokio::time::{Instant, sleep};

    use super::Timers;

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_was_set_for_earlier_work_keeps_the_limit_of_its_next() {
        let timers = Timers::default();
        let second = Duration::from_secs(1);
        let began = Instant::now();
        assert_eq!(timers.within(began + second, pin!(yield_now())).await, Some(()));
        sleep(second / 2).await;
        // Longer than what the timer is set for, and just within the new limit.
        let done = timers.within(began + 2 * second, pin!(sleep(second))).await;
        assert_eq!((done, began.elapsed().as_secs()), (Some(()), 1));
        let late = timers.within(began + 3 * second, pin!(pending::<()>())).await;
        assert_eq!((late, began.elapsed().as_secs()), (None, 3));
        // The timer has gone off, and is of use again.
        let late = timers.within(began + 4 * second, pin!(pending::<()>())).await;
        assert_eq!((late, began.elapsed().as_secs()), (None, 4));
        assert_eq!(timers.within(began, pin!(ready(7))).await, Some(7));
        // It is set for later than the limit of what began before and comes to it only now.
        let began = Instant::now();
        assert_eq!(timers.within(began + 9 * second, pin!(yield_now())).await, Some(()));
        let late = timers.within(began + second, pin!(pending::<()>())).await;
        assert_eq!((late, began.elapsed().as_secs()), (None, 1));
        assert_eq!(timers.0.lock().len(), 1);
    }
}
