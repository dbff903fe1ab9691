//! The same work by hand.
//!
//! A record has what none can do without: the key as bytes, as long as ours, whether the call is done,
//! its outcome, and when it may be deleted, with an index. It has no lease, no fence and no
//! fingerprint.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Result, ensure};
use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database, MySql, Pool, Postgres, Sqlite, Transaction};

/// What a call leaves.
const RECEIPT: &[u8] = b"\"receipt\"";

fn key(number: u64) -> Vec<u8> {
    format!("hand/call/pay in tx//{number}").into_bytes()
}

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
                    let claim = sqlx::query($claim).bind(key(number)).execute(&pool).await?;
                    ensure!(claim.rows_affected() == 1, "claimed before");
                    let complete = sqlx::query($complete).bind(RECEIPT).bind(key(number));
                    complete.execute(&pool).await?;
                    Ok(())
                })
            }

            fn select(pool: Pool<Self>, number: u64) -> Work {
                Box::pin(async move {
                    let found: Option<Vec<u8>> =
                        sqlx::query_scalar($select).bind(key(number)).fetch_one(&pool).await?;
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
                        sqlx::query($claim).bind(key(number)).execute(&mut *tx).await?;
                    }
                    tx.pay().await?;
                    if let Some(number) = number {
                        let complete = sqlx::query($complete).bind(RECEIPT).bind(key(number));
                        complete.execute(&mut *tx).await?;
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
    "create table hand (key bytea primary key, state smallint not null, outcome bytea, \
         expires_at bigint not null); \
     create index hand_expires_at on hand (expires_at); \
     create table paid (id bigint not null)",
    "insert into hand (key, state, expires_at) \
     values ($1, 0, (extract(epoch from clock_timestamp()) * 1000)::bigint + 86400000) \
     on conflict do nothing",
    "update hand set state = 1, outcome = $1 where key = $2 and state = 0",
    "select outcome from hand where key = $1",
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
    "create table hand (`key` varbinary(700) not null primary key, state tinyint not null, \
         outcome mediumblob, expires_at bigint not null, index hand_expires_at (expires_at)); \
     create table paid (id bigint not null)",
    "insert ignore into hand (`key`, state, expires_at) \
     values (?, 0, cast(unix_timestamp(now(3)) * 1000 as signed) + 86400000)",
    "update hand set state = 1, outcome = ? where `key` = ? and state = 0",
    "select outcome from hand where `key` = ?",
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
    "create table hand (key blob primary key not null, state integer not null, outcome blob, \
         expires_at integer not null); \
     create index hand_expires_at on hand (expires_at); \
     create table paid (id integer not null)",
    "insert or ignore into hand (key, state, expires_at) \
     values (?, 0, cast(unixepoch('subsec') * 1000 as integer) + 86400000)",
    "update hand set state = 1, outcome = ? where key = ? and state = 0",
    "select outcome from hand where key = ?",
    "insert into paid values (?)",
    |pool, number| Box::pin(async move {
        let name = format!("hand/lock/{number}").into_bytes();
        let insert = sqlx::query("insert into hand (key, state, expires_at) values (?, 0, 0)");
        insert.bind(name.clone()).execute(&pool).await?;
        sqlx::query("delete from hand where key = ?").bind(name).execute(&pool).await?;
        Ok(())
    })
);
