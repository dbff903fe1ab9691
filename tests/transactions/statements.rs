//! What a call in a transaction costs: counted by the database, against the same effects without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oncely::Coordinator;
use oncely_tests::mysql::MySqlServer;
use oncely_tests::postgres::PostgresServer;
use sqlx::pool::PoolOptions;

use crate::Failed;
use crate::database::EFFECT;

const CALLS: u64 = 20;
/// Each call has a key of its own.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Statements and commits that a database has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    statements: u64,
    commits: u64,
}

impl Seen {
    /// What each of the calls needed.
    fn since(self, before: Self) -> Self {
        Self {
            statements: (self.statements - before.statements) / CALLS,
            commits: (self.commits - before.commits) / CALLS,
        }
    }
}

/// Two effects in a transaction, protected or not, so many times.
macro_rules! pay {
    ($pool:expr) => {
        for _ in 0..CALLS {
            let mut tx = $pool.begin().await.unwrap();
            for _ in 0..2 {
                sqlx::query(EFFECT).execute(&mut *tx).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
    };
    ($pool:expr, $oncely:expr) => {
        for _ in 0..CALLS {
            let key = COUNT.fetch_add(1, Ordering::Relaxed).to_string();
            let call = $oncely.idempotent("pay", key).run_on(&$pool, |tx, _| {
                Box::pin(async move {
                    for _ in 0..2 {
                        sqlx::query(EFFECT).execute(&mut **tx).await?;
                    }
                    Ok::<_, Failed>(())
                })
            });
            assert!(!call.await.unwrap().is_replayed());
        }
    };
}

/// What a protected transaction needs, and an unprotected one.
macro_rules! compared {
    ($pool:expr, $oncely:expr, $seen:expr) => {{
        // What is prepared once is there.
        pay!($pool);
        pay!($pool, $oncely);
        let start = $seen;
        pay!($pool);
        let plain = $seen;
        pay!($pool, $oncely);
        ($seen.since(plain), plain.since(start))
    }};
}

async fn pool<DB: sqlx::Database>(
    options: PoolOptions<DB>,
    url: &str,
) -> (sqlx::Pool<DB>, Coordinator)
where
    sqlx::Pool<DB>: oncely::store::sql::Begins,
    <DB::Connection as sqlx::Connection>::Options: std::str::FromStr<Err = sqlx::Error>,
{
    let options = options.max_connections(1).test_before_acquire(false);
    let pool = options.connect_with(url.parse().unwrap()).await.unwrap();
    (pool, Coordinator::connect(url).await.unwrap())
}

#[tokio::test]
async fn postgres_sees_two_statements_and_no_commit_more() {
    let server = PostgresServer::with(&["fsync=off", "log_statement=all"]);
    let (pool, oncely) = pool(PoolOptions::<sqlx::Postgres>::new(), &server.schema().await).await;
    sqlx::raw_sql("create table effects (name text)").execute(&pool).await.unwrap();
    let seen = || {
        let log = std::fs::read_to_string(server.folder().join("log")).unwrap();
        let count = |what: &str| log.lines().filter(|line| line.contains(what)).count() as u64;
        let statements = count("LOG:  statement: ") + count("LOG:  execute ");
        Seen { statements, commits: count("LOG:  statement: COMMIT") }
    };
    let (protected, plain) = compared!(pool, oncely, seen());
    assert_eq!(plain, Seen { statements: 4, commits: 1 });
    assert_eq!(protected, Seen { statements: 6, commits: 1 });
}

#[tokio::test]
async fn mariadb_sees_two_statements_and_no_commit_more() {
    let url = MySqlServer::shared().database().await;
    let (pool, oncely) = pool(PoolOptions::<sqlx::MySql>::new(), &url).await;
    sqlx::raw_sql("create table effects (name text)").execute(&pool).await.unwrap();
    let seen = async || {
        // It has seen this one as well, which is less than one for each call.
        let count = "select cast(sum(if(variable_name = 'questions', variable_value, 0)) as int), \
             cast(sum(if(variable_name = 'com_commit', variable_value, 0)) as int) \
             from information_schema.session_status";
        let (statements, commits): (i64, i64) =
            sqlx::query_as(count).fetch_one(&pool).await.unwrap();
        Seen { statements: statements as u64, commits: commits as u64 }
    };
    let (protected, plain) = compared!(pool, oncely, seen().await);
    assert_eq!(plain, Seen { statements: 4, commits: 1 });
    assert_eq!(protected, Seen { statements: 6, commits: 1 });
}

/// The claim and the outcome.
#[tokio::test]
async fn sqlite_writes_two_rows_and_commits_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/records.db?mode=rwc", folder.path().display());
    let (rows, commits) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counted = (Arc::clone(&rows), Arc::clone(&commits));
    let options = PoolOptions::<sqlx::Sqlite>::new().after_connect(move |connection, _| {
        let (rows, commits) = counted.clone();
        Box::pin(async move {
            let mut handle = connection.lock_handle().await?;
            handle.set_update_hook(move |_| {
                rows.fetch_add(1, Ordering::Relaxed);
            });
            handle.set_commit_hook(move || {
                commits.fetch_add(1, Ordering::Relaxed);
                true
            });
            Ok(())
        })
    });
    let (pool, oncely) = pool(options, &url).await;
    sqlx::raw_sql("create table effects (name text)").execute(&pool).await.unwrap();
    let seen = || Seen {
        statements: rows.load(Ordering::Relaxed),
        commits: commits.load(Ordering::Relaxed),
    };
    let (protected, plain) = compared!(pool, oncely, seen());
    assert_eq!(plain, Seen { statements: 2, commits: 1 });
    assert_eq!(protected, Seen { statements: 4, commits: 1 });
}
