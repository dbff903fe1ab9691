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
pub(super) async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        return Some(output);
    }
    let mut late = pin!(limit.map(sleep));
    poll_fn(|context| match (work.as_mut().poll(context), late.as_mut().as_pin_mut()) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(late)) => late.poll(context).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}
