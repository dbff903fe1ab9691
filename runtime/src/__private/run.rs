//! From the expansion of an attribute to the builders that a person would call by hand.

use std::future::Future;
use std::pin::{Pin, pin};

use super::in_place::InPlace;
use super::returns::{Replays, Returns};
use crate::coordinator::{Binding, Coordinator, Idempotent, Lock};
use crate::idempotency::{Given, Preparation};
use crate::model::{Failure, Key, Operation, Piece, with_rendered};

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
pub fn idempotent(binding: Binding, operation: Operation, key: Option<&[Piece<'_>]>) -> Idempotent {
    let key = key.map(|key| with_rendered(key, |key| binding.key(&operation, None, key)));
    Idempotent::new(binding, operation, key)
}

/// A lock on all of `keys`.
pub fn lock(binding: Binding, keys: &[&[Piece<'_>]]) -> Lock {
    Lock::new(binding, keys, |namespace, pieces| {
        with_rendered(pieces, |key| Key::lock(namespace, key))
    })
}

/// Runs the body of an idempotent function once, or replays it.
pub fn run_idempotent<R, T, E>(
    call: Idempotent,
    answers: Replays<R, T, E>,
    body: impl Future<Output = R>,
) -> impl Future<Output = R> {
    let planned = call.planned();
    async move {
        let Replays { returns, outcomes, preparation } = answers;
        let read = returns.reader();
        let ended = pin!(Some(async move { prepared(read(body.await), preparation).await }));
        let body = InPlace::new(ended);
        let given = match planned {
            Ok(ref planned) => planned.run(&outcomes, |_| body).await,
            Err(error) => Err(error.into()),
        };
        answer(&returns, given)
    }
}

/// As [`run_idempotent`], and the body goes on when the caller is dropped.
///
/// Boxed, so that a body that cannot move to another task is one error and not three.
pub fn run_idempotent_detached<R, T, E>(
    call: Idempotent,
    answers: Replays<R, T, E>,
    body: impl Future<Output = R> + Send + 'static,
) -> Pin<Box<dyn Future<Output = R> + Send>>
where
    R: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    let Replays { returns, outcomes, preparation } = answers;
    let read = returns.reader();
    let ended = Box::pin(async move { prepared(read(body.await), preparation).await });
    Box::pin(async move { answer(&returns, call.run_detached_as(outcomes, move |_| ended).await) })
}

/// What the body gave, ready to be stored while the call still holds its key.
pub(super) async fn prepared<T, E>(
    ended: Result<T, E>,
    preparation: Option<Preparation<T>>,
) -> Result<T, E> {
    match (ended, preparation) {
        (Ok(value), Some(prepare)) => Ok(prepare(value).await),
        (ended, _) => ended,
    }
}

/// The outcome as the function names it.
pub(super) fn answer<R, T, E>(
    returns: &Returns<R, T, E>,
    ended: Result<Given<T>, Failure<E>>,
) -> R {
    #[cfg(feature = "http")]
    crate::http::note(match &ended {
        Ok(given) => given.is_replayed(),
        Err(failure) => matches!(failure, Failure::Replayed(_)),
    });
    match ended {
        Ok(given) => returns.value(given.into_value()),
        Err(failure) => returns.failure(failure),
    }
}

/// Runs the body of a function while its locks are held.
pub fn run_lock<R, T, E>(
    lock: Lock,
    returns: Returns<R, T, E>,
    body: impl Future<Output = R>,
) -> impl Future<Output = R> {
    let planned = lock.planned();
    async move {
        let read = returns.reader();
        let ended = pin!(Some(async move { read(body.await) }));
        let body = InPlace::new(ended);
        let ended = match planned {
            Ok(ref planned) => planned.run(|_| body).await,
            Err(error) => Err(error.into()),
        };
        match ended {
            Ok(value) => returns.value(value),
            Err(failure) => returns.failure(failure),
        }
    }
}
