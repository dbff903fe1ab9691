//! A body that stays where it is while its call goes through many hands.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future in its caller's frame. To drop this is to drop the future, where it lies.
///
/// Each step of a call takes the body by value, since it decides when the body ends. A body may be
/// large, and each step would move it and keep room for it.
pub(super) struct InPlace<'frame, F>(Pin<&'frame mut Option<F>>);

impl<'frame, F: Future> InPlace<'frame, F> {
    pub(super) fn new(body: Pin<&'frame mut Option<F>>) -> Self {
        Self(body)
    }
}

impl<F: Future> Future for InPlace<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.0.as_mut().as_pin_mut() {
            Some(body) => body.poll(context),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for InPlace<'_, F> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
