//! A call on a task of its own, which goes on when its caller is dropped.

use std::future::Future;
use std::panic::resume_unwind;

use super::installed;
use crate::idempotency::Outcome;
use crate::lease::{Frame, Leases};
use crate::model::{Error, ErrorKind, Failure};

/// Runs `call` on a task of its own, in the frame and the scope of this one.
pub(super) async fn detached<T, E>(
    leases: &Leases,
    call: impl Future<Output = Result<Outcome<T>, Failure<E>>> + Send + 'static,
) -> Result<Outcome<T>, Failure<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let call = Frame::within(Frame::current(), installed::inherit(call));
    match leases.detach(call)?.await {
        Ok(outcome) => outcome,
        Err(ended) if ended.is_panic() => resume_unwind(ended.into_panic()),
        Err(_) => {
            let message = "the runtime shut down while the call ran";
            Err(Error::new(ErrorKind::ShuttingDown, message).into())
        }
    }
}
