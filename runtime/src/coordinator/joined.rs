//! The builders behind `tx` and `begin`: calls in a transaction of the caller's.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::idempotent::Idempotent;
use super::lock::Lock;
use super::planned::PlannedLock;
use crate::idempotency::{Given, Outcome, Outcomes, Remembering};
use crate::joined::{self, Begun, Claimed, Joined, Waits};
use crate::lease::Call;
use crate::model::{Error, Failure};
use crate::store::BoxFuture;
use crate::store::sql::{Begins, Joins, SqlTransaction};

impl<R> Idempotent<R> {
    /// Runs `body` once in the transaction `tx`, or replays what it gave: claim, outcome and the
    /// body's own writes become real together when `tx` is committed, or none of them does.
    ///
    /// The key is taken until `tx` ends, so there is no lease to lose and nothing to renew. A
    /// duplicate in another transaction waits for the end of this one, as long as its `wait` allows;
    /// but in MySQL and SQLite none waits for a call that runs with a lease, which `tx` would keep from
    /// renewing it: that is [`InProgress`](crate::ErrorKind::InProgress) at once.
    /// An error that is remembered undoes what the body wrote, and `tx` must be committed all the
    /// same for it to be replayed; after any other error `tx` has nothing of the call.
    ///
    /// ```no_run
    /// # #[cfg(feature = "postgres")]
    /// # async fn example(oncely: oncely::Coordinator, pool: sqlx::PgPool) -> anyhow::Result<()> {
    /// let mut tx = pool.begin().await?;
    /// let outcome = oncely
    ///     .idempotent("pay", "order:42")
    ///     .run_in(&mut tx, |tx, _call| Box::pin(async move {
    ///         sqlx::query("insert into payments values (42)").execute(&mut **tx).await?;
    ///         Ok::<_, anyhow::Error>(())
    ///     }))
    ///     .await?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The body's own; [`StoreUnsupported`](crate::ErrorKind::StoreUnsupported) if the coordinator's
    /// store is not in the database of `tx`, or `tx` is a connection on which no transaction is open,
    /// and the body was not run;
    /// [`Conflict`](crate::ErrorKind::Conflict) if `tx` met another transaction and must be begun
    /// again; otherwise as [`run`](Self::run).
    ///
    /// # Panics
    /// With the body's own panic; `tx` is then to be rolled back.
    ///
    /// # Cancel safety
    /// Dropped half-way, `tx` holds a claim without an outcome: roll it back, as its drop does.
    pub async fn run_in<X, T, E>(
        self,
        tx: &mut X,
        body: impl for<'t> FnOnce(&'t mut X, Call) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<Outcome<T>, E>
    where
        X: SqlTransaction,
        T: Serialize + DeserializeOwned,
        E: From<Error>,
        R: Remembering<E>,
    {
        let (call, outcomes) = self.split();
        let joined = call.join(&outcomes, tx.joins()).await.map_err(Failure::into_error)?;
        let claimed = match joined {
            Joined::Answers(given) => return Ok(given.into()),
            Joined::Runs(claimed) => claimed,
        };
        let ended = claimed.run(body(tx, claimed.call())).await;
        let given = claimed.end(&outcomes, tx.joins(), ended).await.0;
        given.map(Outcome::from).map_err(Failure::into_error)
    }
}

impl<R> Idempotent<R> {
    /// Begins a transaction on `pool`, runs `body` once in it and commits it with the outcome; or
    /// replays what the body gave. Exactly once for what is written in that transaction.
    ///
    /// Whoever waits for a duplicate or a lock has no connection meanwhile. An error that is not
    /// remembered rolls the transaction back; one that is undoes the body's writes and is committed
    /// alone. A commit that nobody answered is looked up by its token.
    ///
    /// # Errors
    /// Those of [`run_in`](Self::run_in). [`StoreUnavailable`](crate::ErrorKind::StoreUnavailable)
    /// and [`Conflict`](crate::ErrorKind::Conflict) say that nothing of the call stands;
    /// [`Indeterminate`](crate::ErrorKind::Indeterminate) that it could not be found out whether the
    /// transaction was committed: the same call again will tell.
    ///
    /// # Panics
    /// With the body's own panic; the transaction is rolled back.
    ///
    /// # Cancel safety
    /// Dropped before the commit, the transaction is rolled back. Dropped later, the commit goes on.
    pub async fn run_on<P, T, E>(
        self,
        pool: &P,
        body: impl for<'t> FnOnce(&'t mut P::Transaction, Call) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<Outcome<T>, E>
    where
        P: Begins,
        T: Serialize + DeserializeOwned,
        E: From<Error>,
        R: Remembering<E>,
    {
        let (call, outcomes) = self.split();
        let begun = call.begin(&outcomes, pool).await.map_err(Failure::into_error)?;
        let mut begun = match begun {
            Joined::Answers(given) => return Ok(given.into()),
            Joined::Runs(begun) => begun,
        };
        let (claimed, tx) = begun.parts();
        let ended = claimed.run(body(tx, claimed.call())).await;
        let given = begun.commit(&outcomes, ended).await;
        given.map(Outcome::from).map_err(Failure::into_error)
    }
}

impl Idempotent {
    pub(crate) async fn join<T, E>(
        self,
        outcomes: &Outcomes<T, E>,
        tx: &mut dyn Joins,
    ) -> Result<Joined<Claimed, Given<T>>, Failure<E>> {
        let (coordinator, plan) = self.into_plan()?;
        let waits = Waits::inside(plan.wait, plan.lock_wait);
        joined::join(&coordinator.0.leases, &plan, outcomes, tx, &waits).await
    }

    pub(crate) async fn begin<P: Begins, T, E>(
        self,
        outcomes: &Outcomes<T, E>,
        pool: &P,
    ) -> Result<Joined<Begun<P>, Given<T>>, Failure<E>> {
        let (coordinator, plan) = self.into_plan()?;
        joined::begin(&coordinator.0.leases, &coordinator.0.gates, &plan, outcomes, pool).await
    }
}

impl Lock {
    /// Takes the lock until the transaction `tx` ends, and gives the token to hand to a
    /// resource that refuses older ones. There is no lease to lose and nothing to give back.
    ///
    /// Holders with a lease and holders in transactions exclude each other. In MySQL and SQLite a
    /// transaction does not wait for a holder with a lease, which it would keep from giving it back.
    ///
    /// # Errors
    /// [`LockBusy`](crate::ErrorKind::LockBusy) if another holds the lock for longer than the call
    /// waits; [`StoreUnsupported`](crate::ErrorKind::StoreUnsupported) if the coordinator's store is
    /// not in the database of `tx`; [`Conflict`](crate::ErrorKind::Conflict) if `tx` met another
    /// transaction and must be begun again; otherwise as [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// Dropped half-way, `tx` may hold the lock.
    pub async fn acquire_in<X: SqlTransaction>(self, tx: &mut X) -> Result<u64, Error> {
        Ok(self.join(tx.joins()).await?.call().fencing_token())
    }

    /// Takes the lock until the transaction `tx` ends, and runs `body`.
    ///
    /// # Errors
    /// The body's own, and those of [`acquire_in`](Self::acquire_in).
    ///
    /// # Cancel safety
    /// Dropped, the lock is held until `tx` ends.
    pub async fn run_in<X, T, E>(
        self,
        tx: &mut X,
        body: impl for<'t> FnOnce(&'t mut X, Call) -> BoxFuture<'t, Result<T, E>>,
    ) -> Result<T, E>
    where
        X: SqlTransaction,
        E: From<Error>,
    {
        let claimed = self.join(tx.joins()).await?;
        claimed.run(body(tx, claimed.call())).await
    }

    pub(crate) async fn join(self, tx: &mut dyn Joins) -> Result<Claimed, Error> {
        let PlannedLock { coordinator, plan } = self.planned()?;
        joined::join_lock(&coordinator.0.leases, &plan, tx).await
    }
}
