//! The fence at the resource: what stops a holder that does not know yet that it is none any more.

use super::must_be_open;
use crate::model::{Error, ErrorKind};
use crate::store::sql::SqlTransaction;

/// Refuses to go on, inside your transaction, under a token that is older than one already seen for
/// `key`; otherwise `token` is seen from then on, when the transaction is committed.
///
/// A lease can be lost while its holder sleeps: a paused process, a partition. Its last writes may
/// come after those of its successor. Called before the writes that the lock of `key` protects, with
/// [`Call::fencing_token`](crate::Call::fencing_token) or
/// [`LockGuard::fencing_token`](crate::LockGuard::fencing_token), this keeps them out. Two
/// transactions with one key wait for each other. The tokens are in the table `oncely_fences`, which
/// is made with the others of an SQL store, and `key` is a name of your own: what counts is the
/// database of `tx`, whatever store the lock is in, as long as it is always the same.
///
/// ```no_run
/// # #[cfg(feature = "postgres")]
/// # async fn example(oncely: oncely::Coordinator, pool: sqlx::PgPool) -> anyhow::Result<()> {
/// let guard = oncely.lock("stock:42").acquire().await?;
/// let mut tx = pool.begin().await?;
/// oncely::fence(&mut tx, "stock:42", guard.fencing_token()).await?;
/// sqlx::query("update stock set left = left - 1 where id = 42").execute(&mut *tx).await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`LeaseLost`](ErrorKind::LeaseLost) if a later holder has been here, and the transaction goes on;
/// [`Conflict`](ErrorKind::Conflict) if it met another one and must be begun again;
/// [`StoreUnsupported`](ErrorKind::StoreUnsupported) if the tables of oncely are not in its database,
/// or no transaction is open;
/// [`StoreUnavailable`](ErrorKind::StoreUnavailable).
///
/// # Cancel safety
/// Dropped, the token is seen or not.
pub async fn fence<X: SqlTransaction>(
    tx: &mut X,
    key: impl AsRef<str>,
    token: u64,
) -> Result<(), Error> {
    let token = i64::try_from(token).unwrap_or(i64::MAX);
    let tx = tx.joins();
    must_be_open(tx)?;
    if tx.fence(key.as_ref(), token).await? {
        return Ok(());
    }
    let message = "a later holder has written under a higher token, so this one's lease is lost";
    Err(Error::new(ErrorKind::LeaseLost, message))
}
