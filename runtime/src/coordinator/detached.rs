//! A call that goes on when its caller is dropped.

use std::sync::Arc;

use super::installed;
use crate::idempotency::Given;
use crate::lease::{Frame, Leases};
use crate::model::Failure;
use crate::store::BoxFuture;

/// Runs `call` where it is waited for, and, once nobody waits any more, on a task of its own, in the
/// frame and the scope of this one. It comes boxed, so that none of its wrappers moves it.
pub(super) async fn detached<T, E>(
    leases: &Arc<Leases>,
    call: BoxFuture<'static, Result<Given<T>, Failure<E>>>,
) -> Result<Given<T>, Failure<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let call = match (Frame::current(), installed::scoped()) {
        // Most have nothing to take along.
        (None, None) => call,
        (frame, scoped) => Box::pin(Frame::within(frame, installed::within(scoped, call))),
    };
    leases.detach(call)?.await
}
