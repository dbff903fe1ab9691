//! From the expansion of an attribute to the builders that a person would call by hand.

use std::future::Future;

use super::returns::{FromOncely, IsResult, Skippable, Storable};
use crate::coordinator::{Binding, Coordinator, Idempotent, Lock};
use crate::idempotency::{Outcome, Remembering};
use crate::model::{ErrorKind, Failure, Operation, Piece, render};

/// The scoped coordinator, then the installed one.
pub fn installed() -> Binding {
    Binding::ambient()
}

/// The coordinator that the attribute names.
pub fn given(coordinator: &Coordinator) -> Binding {
    Binding::from(coordinator)
}

/// An operation with a name of its own.
pub fn named(name: &'static str) -> Operation {
    Operation::named(name)
}

/// A call of `operation`; without a key, its arguments are the key.
pub fn idempotent(
    binding: &Binding,
    operation: Operation,
    key: Option<&[Piece<'_>]>,
) -> Idempotent {
    Idempotent::new(binding.clone(), operation, key.map(render))
}

/// A lock on all of `keys`.
pub fn lock(binding: &Binding, keys: &[&[Piece<'_>]]) -> Lock {
    Lock::new(binding.clone(), keys.iter().map(|key| render(key)))
}

/// Runs the body of an idempotent function once, or replays it.
pub async fn run_idempotent<P, R>(call: Idempotent<P>, body: impl Future<Output = R>) -> R
where
    P: Remembering<R::Error>,
    R: IsResult<Ok: Storable, Error: FromOncely>,
{
    let result = call.attempt(|_| async { body.await.into_result() }).await;
    R::from_result(value_of(result))
}

/// As [`run_idempotent`], and a busy lock is `Ok(None)`.
pub async fn run_idempotent_or_skip<P, R>(call: Idempotent<P>, body: impl Future<Output = R>) -> R
where
    P: Remembering<R::Error>,
    R: IsResult<Ok: Storable + Skippable, Error: FromOncely>,
{
    let result = call.attempt(|_| async { body.await.into_result() }).await;
    R::from_result(value_of(skip_busy(result, Outcome::Executed)))
}

/// As [`run_idempotent`], and the body goes on when the caller is dropped.
pub async fn run_idempotent_detached<P, R>(
    call: Idempotent<P>,
    body: impl Future<Output = R> + Send + 'static,
) -> R
where
    P: Remembering<R::Error> + Send + Sync + 'static,
    R: IsResult<Ok: Storable + Send + 'static, Error: FromOncely + Send + 'static>,
{
    let result = call.attempt_detached(|_| async { body.await.into_result() }).await;
    R::from_result(value_of(result))
}

/// As [`run_idempotent_detached`], and a busy lock is `Ok(None)`.
pub async fn run_idempotent_detached_or_skip<P, R>(
    call: Idempotent<P>,
    body: impl Future<Output = R> + Send + 'static,
) -> R
where
    P: Remembering<R::Error> + Send + Sync + 'static,
    R: IsResult<Ok: Storable + Skippable + Send + 'static, Error: FromOncely + Send + 'static>,
{
    let result = call.attempt_detached(|_| async { body.await.into_result() }).await;
    R::from_result(value_of(skip_busy(result, Outcome::Executed)))
}

/// Runs the body of a function while its locks are held.
pub async fn run_lock<R>(lock: Lock, body: impl Future<Output = R>) -> R
where
    R: IsResult<Error: FromOncely>,
{
    let result = lock.attempt(|_| async { body.await.into_result() }).await;
    R::from_result(result.map_err(error_of))
}

/// As [`run_lock`], and a busy lock is `Ok(None)`.
pub async fn run_lock_or_skip<R>(lock: Lock, body: impl Future<Output = R>) -> R
where
    R: IsResult<Ok: Skippable, Error: FromOncely>,
{
    let result = lock.attempt(|_| async { body.await.into_result() }).await;
    R::from_result(skip_busy(result, |skipped| skipped).map_err(error_of))
}

fn value_of<T, E: FromOncely>(result: Result<Outcome<T>, Failure<E>>) -> Result<T, E> {
    result.map(Outcome::into_value).map_err(error_of)
}

fn error_of<E: FromOncely>(failure: Failure<E>) -> E {
    match failure {
        Failure::Oncely(error) => E::from_oncely(error),
        Failure::Body(error) => error,
    }
}

/// A busy lock is nothing to report, but nothing to do.
fn skip_busy<T: Skippable, U, E>(
    result: Result<U, Failure<E>>,
    skipped: impl FnOnce(T) -> U,
) -> Result<U, Failure<E>> {
    match result {
        Err(Failure::Oncely(error)) if error.kind() == ErrorKind::LockBusy => {
            Ok(skipped(T::skipped()))
        }
        result => result,
    }
}
