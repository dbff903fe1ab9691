//! Transactions of the caller's that a protected call joins: its claim and its outcome are written
//! with whatever else they write.

use std::time::Duration;

use crate::store::{BoxFuture, Lease, LeaseRequest, Occupant, StoreError, StoredOutcome, Updated};

/// A transaction in the database of an SQL store.
///
/// Sealed: the transactions of `sqlx` are, `Transaction<'_, Postgres>`, `Transaction<'_, MySql>` and
/// `Transaction<'_, Sqlite>`, and the connections they are on, each with the feature of its store. A
/// connection on which `sqlx` has begun no transaction is refused when it is used.
#[diagnostic::on_unimplemented(
    message = "no SQL store of oncely serves `{Self}`",
    label = "not a transaction that a call can join",
    note = "`tx` takes a `&mut sqlx::Transaction<'_, DB>` of sqlx 0.9, where `DB` is `Postgres`, \
            `MySql` or `Sqlite` and the feature `postgres`, `mysql` or `sqlite` of oncely is on"
)]
pub trait SqlTransaction: Send + sealed::Sealed {
    #[doc(hidden)]
    fn joins(&mut self) -> &mut dyn Joins;
}

/// What a call does in the caller's transaction. Nothing of it can be seen by others before the
/// transaction is committed, and nothing is left of it after one that is not.
#[doc(hidden)]
pub trait Joins: Send {
    /// Whether a transaction is open, as far as the driver has begun it.
    fn is_open(&self) -> bool;

    /// Whether there is a server that may leave a statement without an answer.
    fn may_hang(&self) -> bool;

    /// Whether a claim that met a holder keeps others from the record until the transaction ends, the
    /// holder as well.
    fn keeps_what_it_met(&self) -> bool;

    /// Takes the key until the transaction ends, if it is one in `home`. Waits for nobody, as far
    /// as the database can ask without waiting.
    fn claim<'a>(
        &'a mut self,
        home: DatabaseId,
        request: &'a LeaseRequest,
        purpose: Purpose,
    ) -> BoxFuture<'a, Result<Claim, StoreError>>;

    /// Stores the outcome of a claim of this transaction.
    fn complete<'a>(
        &'a mut self,
        home: DatabaseId,
        lease: &'a Lease,
        outcome: &'a StoredOutcome,
        retention: Duration,
    ) -> BoxFuture<'a, Result<Updated, StoreError>>;

    /// Gives a claim of this transaction back.
    fn release<'a>(
        &'a mut self,
        home: DatabaseId,
        lease: &'a Lease,
    ) -> BoxFuture<'a, Result<Updated, StoreError>>;

    /// Whether `token` is at least as high as every one that was seen for the fence of `key`; it is
    /// seen from then on.
    fn fence<'a>(&'a mut self, key: &'a str, token: i64)
    -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Marks the place that [`restore`](Self::restore) comes back to.
    fn save(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Undoes what was written since [`save`](Self::save).
    fn restore(&mut self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// What a key is taken for.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An outcome, which stands in the record when the transaction is committed, and is to be kept
    /// for so long.
    Call { retention: Duration },
    /// Mutual exclusion, which ends with the transaction: the record is free for whoever sees it.
    Lock,
}

/// What came of a claim.
#[doc(hidden)]
#[derive(Debug)]
pub enum Claim {
    /// The key is this transaction's.
    Granted(Lease),
    /// The key is not free.
    Occupied(Occupant),
    /// Another transaction has the key, and what it writes cannot be seen yet.
    Hidden,
}

/// Which SQL database a store is in.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(all(feature = "postgres", feature = "mysql", feature = "sqlite")),
    allow(dead_code, reason = "not every database asks for every field")
)]
pub struct DatabaseId {
    dialect: &'static str,
    identity: i64,
    /// Whether its connections remember statements.
    persistent: bool,
    /// Whether an insert can give what is there after it.
    returns: bool,
}

impl DatabaseId {
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub(super) fn new(dialect: &'static str, identity: i64, persistent: bool) -> Self {
        Self { dialect, identity, persistent, returns: false }
    }

    #[cfg(feature = "mysql")]
    pub(super) fn returning(self, returns: bool) -> Self {
        Self { returns, ..self }
    }

    #[cfg(feature = "mysql")]
    pub(super) fn returns(self) -> bool {
        self.returns
    }

    #[cfg(feature = "postgres")]
    pub(super) fn is_persistent(self) -> bool {
        self.persistent
    }

    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub(super) fn identity(self) -> i64 {
        self.identity
    }

    /// The kind of the database, as its maker writes it.
    pub fn dialect(&self) -> &'static str {
        self.dialect
    }

    /// Whether a transaction is in this very database, which is asked before anything is written.
    ///
    /// # Errors
    /// `Unsupported` if it is not.
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
    pub(super) fn check(
        self,
        dialect: &str,
        identity: Option<i64>,
    ) -> Result<(), super::failure::Failure> {
        if self.dialect == dialect && identity.is_none_or(|identity| identity == self.identity) {
            return Ok(());
        }
        let message = format!(
            "the transaction is in a {dialect} database, and the store of the coordinator in \
             another one ({}); outcome and effects can only share the same",
            self.dialect
        );
        Err(super::failure::Failure::Unsupported(message))
    }
}

/// The statements of a savepoint; no other has this name.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(super) const SAVE: &str = "savepoint oncely";
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(super) const RESTORE: &str = "rollback to savepoint oncely";

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
macro_rules! joined_by {
    ($connection:ty, $database:ty) => {
        impl sealed::Sealed for $connection {}
        impl sealed::Sealed for sqlx::Transaction<'_, $database> {}

        impl SqlTransaction for $connection {
            fn joins(&mut self) -> &mut dyn Joins {
                self
            }
        }

        impl SqlTransaction for sqlx::Transaction<'_, $database> {
            fn joins(&mut self) -> &mut dyn Joins {
                &mut **self
            }
        }
    };
}

#[cfg(feature = "postgres")]
joined_by!(sqlx::PgConnection, sqlx::Postgres);
#[cfg(feature = "mysql")]
joined_by!(sqlx::MySqlConnection, sqlx::MySql);
#[cfg(feature = "sqlite")]
joined_by!(sqlx::SqliteConnection, sqlx::Sqlite);

mod sealed {
    pub trait Sealed {}
}
