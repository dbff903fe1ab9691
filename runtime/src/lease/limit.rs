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
