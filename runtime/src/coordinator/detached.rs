//! A call that goes on when its caller is dropped.

use std::future::Future;
use std::sync::Arc;

use super::installed;
use crate::idempotency::Outcome;
use crate::lease::{Frame, Leases};
use crate::model::Failure;

/// Runs `call` where it is waited for, and, once nobody waits any more, on a task of its own, in the
/// frame and the scope of this one.
pub(super) async fn detached<T, E>(
    leases: &Arc<Leases>,
    call: impl Future<Output = Result<Outcome<T>, Failure<E>>> + Send + 'static,
) -> Result<Outcome<T>, Failure<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let call = Frame::within(Frame::current(), installed::inherit(call));
    leases.detach(call)?.await
}
