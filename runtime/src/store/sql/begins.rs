//! Pools on which a call begins a transaction of its own.

use super::joins::SqlTransaction;
use crate::store::{BoxFuture, StoreError};

/// A pool of connections on which a call can begin a transaction.
///
/// Sealed: `sqlx::Pool<DB>` is one, for the databases of [`SqlTransaction`].
pub trait Begins: Clone + Send + Sync + 'static + sealed::Sealed {
    /// What `begin` gives.
    type Transaction: SqlTransaction + 'static;

    #[doc(hidden)]
    fn begin(self) -> BoxFuture<'static, Result<Self::Transaction, StoreError>>;

    /// Whether all connections are in use, and none can be added.
    #[doc(hidden)]
    fn is_exhausted(&self) -> bool;

    #[doc(hidden)]
    fn commit(transaction: Self::Transaction) -> BoxFuture<'static, Result<(), Uncommitted>>;

    #[doc(hidden)]
    fn rollback(transaction: Self::Transaction) -> BoxFuture<'static, ()>;

    /// Rolls back a transaction on which a statement may not have come to its end, and gives the pool
    /// back what it can use.
    #[doc(hidden)]
    fn abandon(self, transaction: Self::Transaction) -> BoxFuture<'static, ()>;
}

/// Something that has a pool: the pool itself, a reference to it, or an `Arc` of it.
#[diagnostic::on_unimplemented(
    message = "a call cannot begin a transaction on `{Self}`",
    label = "not a pool of connections",
    note = "`begin(tx = …)` takes a `sqlx::PgPool`, `sqlx::MySqlPool` or `sqlx::SqlitePool` of sqlx 0.9, \
            with the feature `postgres`, `mysql` or `sqlite` of oncely"
)]
#[doc(hidden)]
pub trait HasPool {
    /// The pool.
    type Pool: Begins;

    /// A handle on it.
    fn pool(&self) -> Self::Pool;
}

/// How a commit failed.
#[doc(hidden)]
#[derive(Debug)]
pub enum Uncommitted {
    /// The database said that it rolled back.
    RolledBack(StoreError),
    /// Nobody said anything.
    Unknown(StoreError),
}

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
macro_rules! begins {
    ($($feature:literal, $database:ty, $abandon:path;)+) => {$(
        #[cfg(feature = $feature)]
        impl sealed::Sealed for sqlx::Pool<$database> {}

        #[cfg(feature = $feature)]
        impl Begins for sqlx::Pool<$database> {
            type Transaction = sqlx::Transaction<'static, $database>;

            fn begin(self) -> BoxFuture<'static, Result<Self::Transaction, StoreError>> {
                Box::pin(async move {
                    sqlx::Pool::begin(&self).await.map_err(failed)
                })
            }

            fn is_exhausted(&self) -> bool {
                self.num_idle() == 0 && self.size() >= self.options().get_max_connections()
            }

            fn commit(transaction: Self::Transaction) -> BoxFuture<'static, Result<(), Uncommitted>> {
                Box::pin(async move {
                    transaction.commit().await.map_err(|error| {
                        let answered = matches!(error, sqlx::Error::Database(_));
                        let error = failed(error);
                        if answered {
                            Uncommitted::RolledBack(error)
                        } else {
                            Uncommitted::Unknown(error)
                        }
                    })
                })
            }

            fn rollback(transaction: Self::Transaction) -> BoxFuture<'static, ()> {
                Box::pin(async move { drop(transaction.rollback().await) })
            }

            fn abandon(self, transaction: Self::Transaction) -> BoxFuture<'static, ()> {
                Box::pin($abandon(self, transaction))
            }
        }

        #[cfg(feature = $feature)]
        impl HasPool for sqlx::Pool<$database> {
            type Pool = Self;

            fn pool(&self) -> Self {
                self.clone()
            }
        }

        #[cfg(feature = $feature)]
        impl HasPool for &sqlx::Pool<$database> {
            type Pool = sqlx::Pool<$database>;

            fn pool(&self) -> Self::Pool {
                (*self).clone()
            }
        }

        #[cfg(feature = $feature)]
        impl HasPool for std::sync::Arc<sqlx::Pool<$database>> {
            type Pool = sqlx::Pool<$database>;

            fn pool(&self) -> Self::Pool {
                (**self).clone()
            }
        }
    )+};
}

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
begins! {
    "postgres", sqlx::Postgres, dropped;
    "mysql", sqlx::MySql, super::mysql::abandon;
    "sqlite", sqlx::Sqlite, dropped;
}

/// The driver itself waits for the end of what was on its way, and rolls back.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
async fn dropped<DB: sqlx::Database>(pool: sqlx::Pool<DB>, tx: sqlx::Transaction<'static, DB>) {
    drop((tx, pool));
}

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
fn failed(error: sqlx::Error) -> StoreError {
    super::failure::Failure::from(error).in_transaction()
}

mod sealed {
    pub trait Sealed {}
}
