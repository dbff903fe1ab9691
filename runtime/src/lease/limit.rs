//! A time limit that costs nothing where the answer is there at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;

/// What `work` gives within `limit`, which counts from when it is first waited for; `None` past it.
///
/// Unlike `tokio::time::timeout` it starts no timer for work that is ready when it is first polled,
/// as that of a store in memory is.
///
/// # Cancel safety
/// Dropped, `work` is dropped.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        return Some(output);
    }
    let mut late = pin!(sleep(limit));
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => late.as_mut().poll(context).map(|()| None),
    })
    .await
}
