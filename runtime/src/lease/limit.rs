//! A time limit that costs nothing where the answer is there at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

/// What `work` gives within `limit`, which counts from when it is first waited for; `None` past it.
/// Without a limit it is waited for as long as it takes.
///
/// Unlike `tokio::time::timeout` it starts no timer for work that is ready when it is first polled,
/// as that of a store in memory is.
///
/// # Cancel safety
/// Dropped, `work` is dropped.
pub(crate) async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    let Some(limit) = limit else { return Some(work.await) };
    let (mut work, mut late) = (pin!(work), pin!(None));
    poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if late.is_none() {
            late.set(Some(sleep(limit)));
        }
        match late.as_mut().as_pin_mut() {
            Some(late) => late.poll(context).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{Future, pending, poll_fn, ready};
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::within;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn work_is_given_up_at_its_limit_and_not_before() {
        let began = Instant::now();
        assert_eq!(within(Some(LIMIT), pending::<()>()).await, None);
        assert_eq!(began.elapsed(), LIMIT);
        for limit in [None, Some(Duration::ZERO)] {
            assert_eq!(within(limit, ready(7)).await, Some(7));
        }
    }

    #[tokio::test]
    async fn work_is_polled_once_each_time() {
        for limit in [None, Some(LIMIT)] {
            let mut polls = 0;
            {
                let work = poll_fn(|_| {
                    polls += 1;
                    Poll::<()>::Pending
                });
                let mut limited = pin!(within(limit, work));
                for _ in 0..3 {
                    let polled = poll_fn(|context| Poll::Ready(limited.as_mut().poll(context)));
                    assert!(polled.await.is_pending());
                }
            }
            assert_eq!(polls, 3, "{limit:?}");
        }
    }
}
