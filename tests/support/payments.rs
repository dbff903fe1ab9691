//! A call of two statements in a transaction, on every database.

use oncely::store::BoxFuture;
use oncely::store::sql::Begins;
use oncely::{Coordinator, Error, Outcome};
use sqlx::{Connection, Database, Pool};

use crate::secs;

/// A pool on the database at `url`.
pub async fn pool<DB: Database>(url: &str, connections: u32) -> Pool<DB>
where
    <DB::Connection as Connection>::Options: std::str::FromStr<Err = sqlx::Error>,
{
    let options = url.parse().expect("a URL");
    let pool = sqlx::pool::PoolOptions::new().max_connections(connections);
    pool.acquire_timeout(secs(20)).connect_with(options).await.expect("a pool")
}

/// A transaction in which effects can be left.
pub trait Pays {
    /// Leaves one effect under this name.
    fn pay<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, Result<(), sqlx::Error>>;
}

impl Pays for sqlx::Transaction<'static, sqlx::Postgres> {
    fn pay<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let effect = sqlx::query("insert into effects values ($1)").bind(name);
            effect.execute(&mut **self).await.map(drop)
        })
    }
}

impl Pays for sqlx::Transaction<'static, sqlx::MySql> {
    fn pay<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let effect = sqlx::query("insert into effects values (?)").bind(name);
            effect.execute(&mut **self).await.map(drop)
        })
    }
}

impl Pays for sqlx::Transaction<'static, sqlx::Sqlite> {
    fn pay<'a>(&'a mut self, name: &'a str) -> BoxFuture<'a, Result<(), sqlx::Error>> {
        Box::pin(async move {
            let effect = sqlx::query("insert into effects values (?)").bind(name.to_owned());
            effect.execute(&mut **self).await.map(drop)
        })
    }
}

/// What the call can fail with.
#[derive(Debug)]
pub enum Failed {
    /// The protocol said no.
    Oncely(Error),
    /// The database did.
    Sql(sqlx::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Oncely(error)
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Oncely(error) => error.fmt(f),
            Self::Sql(error) => error.fmt(f),
        }
    }
}

/// Leaves two effects under the name `key`, once.
///
/// # Errors
/// [`Failed`].
pub async fn pay<P: Begins>(
    oncely: &Coordinator,
    pool: &P,
    key: &str,
) -> Result<Outcome<u32>, Failed>
where
    P::Transaction: Pays,
{
    let name = key.to_owned();
    let call = oncely.idempotent("pay", key).wait(secs(20));
    call.run_on(pool, |tx, _| {
        Box::pin(async move {
            tx.pay(&name).await.map_err(Failed::Sql)?;
            tx.pay(&name).await.map_err(Failed::Sql)?;
            Ok(2)
        })
    })
    .await
}
