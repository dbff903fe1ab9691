//! From the expansion of `tx` and `begin` to the protocol in a transaction.
//!
//! The body stands between two calls, as it has the transaction meanwhile.

use std::fmt;
use std::future::Future;

use super::returns::{Replays, Returns};
use super::run::{answer, prepared};
use crate::coordinator::{Idempotent, Lock};
use crate::joined::{Begun, Claimed, Joined};
use crate::model::Failure;
use crate::store::sql::{Begins, HasPool, Joins, SqlTransaction};

/// The transaction that the function has as an argument.
pub fn transaction<X: SqlTransaction + ?Sized>(tx: &mut X) -> &mut (dyn Joins + '_) {
    tx.joins()
}

/// The pool that the attribute names.
pub fn pool<P: HasPool + ?Sized>(pool: &P) -> P::Pool {
    pool.pool()
}

/// What to do next.
#[derive(Debug)]
pub enum Next<R, C> {
    /// Answer so: the body does not run.
    Answer(R),
    /// Run the body, with this.
    Run(C),
}

/// A call whose keys belong to the caller's transaction.
pub struct JoinedCall<R, T, E> {
    claimed: Claimed,
    answers: Replays<R, T, E>,
}

/// Claims the call in `tx`, or finds its outcome.
pub async fn join_idempotent<R, T, E>(
    call: Idempotent,
    answers: Replays<R, T, E>,
    tx: &mut (dyn Joins + '_),
) -> Next<R, JoinedCall<R, T, E>> {
    match call.join(&answers.outcomes, tx).await {
        Ok(Joined::Runs(claimed)) => Next::Run(JoinedCall { claimed, answers }),
        Ok(Joined::Answers(given)) => Next::Answer(answer(&answers.returns, Ok(given))),
        Err(failure) => Next::Answer(answer(&answers.returns, Err(failure))),
    }
}

impl<R, T, E> JoinedCall<R, T, E> {
    /// Runs the body as this call.
    pub fn run<F: Future<Output = R>>(&self, body: F) -> impl Future<Output = R> + use<R, T, E, F> {
        self.claimed.run(body)
    }

    /// Writes the outcome into the transaction.
    pub async fn end(self, tx: &mut (dyn Joins + '_), ended: R) -> R {
        let Replays { returns, outcomes, preparation } = self.answers;
        let ended = prepared(returns.reader()(ended), preparation).await;
        answer(&returns, self.claimed.end(&outcomes, tx, ended).await.0)
    }
}

/// A call with a transaction of its own.
pub struct BegunCall<P: Begins, R, T, E> {
    begun: Begun<P>,
    answers: Replays<R, T, E>,
}

/// Begins a transaction and claims the call in it, or finds its outcome.
pub async fn begin_idempotent<P: Begins, R, T, E>(
    call: Idempotent,
    answers: Replays<R, T, E>,
    pool: P,
) -> Next<R, BegunCall<P, R, T, E>> {
    match call.begin(&answers.outcomes, &pool).await {
        Ok(Joined::Runs(begun)) => Next::Run(BegunCall { begun, answers }),
        Ok(Joined::Answers(given)) => Next::Answer(answer(&answers.returns, Ok(given))),
        Err(failure) => Next::Answer(answer(&answers.returns, Err(failure))),
    }
}

/// Runs a body as a call whose keys belong to a transaction.
#[derive(Debug)]
pub struct Runner<'call>(&'call Claimed);

impl Runner<'_> {
    /// Runs the body.
    pub fn run<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.run(body)
    }
}

impl<P: Begins, R, T, E> BegunCall<P, R, T, E> {
    /// What runs the body, and the transaction for it.
    pub fn parts(&mut self) -> (Runner<'_>, &mut P::Transaction) {
        let (claimed, transaction) = self.begun.parts();
        (Runner(claimed), transaction)
    }

    /// Commits the body's effects with its outcome, or rolls them back.
    pub async fn commit(self, ended: R) -> R {
        let Replays { returns, outcomes, preparation } = self.answers;
        let ended = prepared(returns.reader()(ended), preparation).await;
        answer(&returns, self.begun.commit(&outcomes, ended).await)
    }
}

/// A function whose locks belong to the caller's transaction.
pub struct JoinedLock {
    claimed: Claimed,
}

/// Takes the locks until the transaction ends.
pub async fn join_lock<R, T, E>(
    lock: Lock,
    returns: Returns<R, T, E>,
    tx: &mut (dyn Joins + '_),
) -> Next<R, JoinedLock> {
    match lock.join(tx).await {
        Ok(claimed) => Next::Run(JoinedLock { claimed }),
        Err(error) => Next::Answer(returns.failure(Failure::Oncely(error))),
    }
}

impl JoinedLock {
    /// Runs the body while the transaction has the locks.
    pub fn run<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<F> {
        self.claimed.run(body)
    }
}

impl<R, T, E> fmt::Debug for JoinedCall<R, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinedCall").field("claimed", &self.claimed).finish_non_exhaustive()
    }
}

impl<P: Begins, R, T, E> fmt::Debug for BegunCall<P, R, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BegunCall").field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl fmt::Debug for JoinedLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinedLock").field("claimed", &self.claimed).finish()
    }
}
