//! The same work by hand.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database, MySql, Pool, Postgres, Sqlite, Transaction};

type Work = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A database and what people write for it.
pub(super) trait Hand: Database {
    /// Connections at most; a file has one writer.
    const CONNECTIONS: u32;
    const TABLES: &'static str;

    fn first(pool: Pool<Self>, number: u64) -> Work;
    fn select(pool: Pool<Self>, number: u64) -> Work;
    fn lock(pool: Pool<Self>, number: u64) -> Work;
    /// Two statements, between a claim and a completion if there is a number.
    fn business(pool: Pool<Self>, number: Option<u64>) -> Work;
    fn tables(pool: &Pool<Self>) -> impl Future<Output = Result<()>> + Send;
    fn pool(url: &str) -> impl Future<Output = Result<Pool<Self>>> + Send;
}

/// The two statements, for our own transaction.
pub(super) trait Pays {
    fn pay(&mut self) -> impl Future<Output = Result<()>> + Send;
}

async fn pool<DB: Database>(url: &str, connections: u32) -> Result<Pool<DB>>
where
    <DB::Connection as Connection>::Options: std::str::FromStr<Err = sqlx::Error>,
{
    let options = PoolOptions::new().max_connections(connections).test_before_acquire(false);
    let options = options.acquire_timeout(Duration::from_secs(60));
    Ok(options.connect_with(url.parse()?).await?)
}

macro_rules! hand {
    ($database:ty, $connections:literal, $tables:literal, $claim:literal, $complete:literal,
     $select:literal, $pay:literal, $lock:expr) => {
        impl Hand for $database {
            const CONNECTIONS: u32 = $connections;
            const TABLES: &'static str = $tables;

            fn first(pool: Pool<Self>, number: u64) -> Work {
                Box::pin(async move {
                    let key = number as i64;
                    let claim = sqlx::query($claim).bind(key).execute(&pool).await?;
                    ensure!(claim.rows_affected() == 1, "claimed before");
                    sqlx::query($complete).bind("\"receipt\"").bind(key).execute(&pool).await?;
                    Ok(())
                })
            }

            fn select(pool: Pool<Self>, number: u64) -> Work {
                Box::pin(async move {
                    let found: Option<String> =
                        sqlx::query_scalar($select).bind(number as i64).fetch_one(&pool).await?;
                    ensure!(found.is_some(), "no receipt");
                    Ok(())
                })
            }

            fn lock(pool: Pool<Self>, number: u64) -> Work {
                let lock: fn(Pool<Self>, i64) -> Work = $lock;
                lock(pool, number as i64)
            }

            fn business(pool: Pool<Self>, number: Option<u64>) -> Work {
                Box::pin(async move {
                    let mut tx = pool.begin().await?;
                    if let Some(number) = number {
                        sqlx::query($claim).bind(number as i64).execute(&mut *tx).await?;
                    }
                    tx.pay().await?;
                    if let Some(number) = number {
                        let complete = sqlx::query($complete).bind("\"receipt\"");
                        complete.bind(number as i64).execute(&mut *tx).await?;
                    }
                    tx.commit().await?;
                    Ok(())
                })
            }

            async fn tables(pool: &Pool<Self>) -> Result<()> {
                sqlx::raw_sql(Self::TABLES).execute(pool).await?;
                Ok(())
            }

            async fn pool(url: &str) -> Result<Pool<Self>> {
                pool(url, Self::CONNECTIONS).await
            }
        }

        impl Pays for Transaction<'static, $database> {
            async fn pay(&mut self) -> Result<()> {
                sqlx::query($pay).bind(1_i64).execute(&mut **self).await?;
                sqlx::query($pay).bind(2_i64).execute(&mut **self).await?;
                Ok(())
            }
        }
    };
}

hand!(
    Postgres,
    8,
    "create table hand (id bigint primary key, state int not null, outcome text); \
     create table paid (id bigint not null)",
    "insert into hand (id, state) values ($1, 0) on conflict do nothing",
    "update hand set state = 1, outcome = $1 where id = $2",
    "select outcome from hand where id = $1",
    "insert into paid values ($1)",
    |pool, number| Box::pin(async move {
        let mut connection = pool.acquire().await?;
        let lock = sqlx::query("select pg_advisory_lock($1)").bind(number);
        lock.execute(&mut *connection).await?;
        let unlock = sqlx::query("select pg_advisory_unlock($1)").bind(number);
        unlock.execute(&mut *connection).await?;
        Ok(())
    })
);

hand!(
    MySql,
    8,
    "create table hand (id bigint primary key, state int not null, outcome longtext); \
     create table paid (id bigint not null)",
    "insert ignore into hand (id, state) values (?, 0)",
    "update hand set state = 1, outcome = ? where id = ?",
    "select outcome from hand where id = ?",
    "insert into paid values (?)",
    |pool, number| Box::pin(async move {
        let mut connection = pool.acquire().await?;
        let lock = sqlx::query("select get_lock(?, 10)").bind(number.to_string());
        lock.execute(&mut *connection).await?;
        let unlock = sqlx::query("select release_lock(?)").bind(number.to_string());
        unlock.execute(&mut *connection).await?;
        Ok(())
    })
);

hand!(
    Sqlite,
    1,
    "create table hand (id integer primary key, state int not null, outcome text); \
     create table paid (id integer not null)",
    "insert or ignore into hand (id, state) values (?, 0)",
    "update hand set state = 1, outcome = ? where id = ?",
    "select outcome from hand where id = ?",
    "insert into paid values (?)",
    |pool, number| Box::pin(async move {
        sqlx::query("insert into hand (id, state) values (?, 0)")
            .bind(-number)
            .execute(&pool)
            .await?;
        sqlx::query("delete from hand where id = ?").bind(-number).execute(&pool).await?;
        Ok(())
    })
);
