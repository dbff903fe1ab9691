//! Futures that are dropped anywhere, and servers that are killed under load.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use oncely::{Coordinator, Error, ErrorKind};
use oncely_tests::mysql::MySqlServer;
use oncely_tests::payments::{self, Failed};
use oncely_tests::postgres::PostgresServer;
use oncely_tests::{ms, secs, soon};
use sqlx::{MySqlPool, PgPool};
use tokio::task::JoinSet;
use tokio::time::sleep;

const TABLE: &str = "create table effects (name varchar(100) not null)";

/// Polls a few times, with pauses, and drops what is not done by then.
async fn dropped_somewhere(future: impl Future) {
    let mut future = pin!(future);
    for _ in 0..fastrand::usize(0..9) {
        let ready = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if ready {
            return;
        }
        sleep(Duration::from_micros(fastrand::u64(0..400))).await;
    }
}

/// One thing of everything that a coordinator does, dropped somewhere.
macro_rules! drop_one {
    ($oncely:expr, $pool:expr) => {{
        let key = fastrand::u32(0..200).to_string();
        let lease = ms(300);
        match fastrand::u8(0..4) {
            0 => {
                let call = $oncely.idempotent("call", &key).lease(lease).wait(ms(0));
                dropped_somewhere(call.run(|_| async {
                    tokio::task::yield_now().await;
                    Ok::<_, Error>(1)
                }))
                .await;
            }
            1 => {
                let lock = $oncely.lock(&key).lease(lease).wait(ms(0));
                dropped_somewhere(async {
                    if let Ok(guard) = lock.acquire().await {
                        let _ = guard.release().await;
                    }
                })
                .await;
            }
            2 => dropped_somewhere(payments::pay(&$oncely, &$pool, &key)).await,
            _ => {
                dropped_somewhere(async {
                    // Begun here, where a drop is sqlx's own affair only once it has begun.
                    let pool = $pool.clone();
                    let begun = tokio::spawn(async move { pool.begin().await }).await;
                    let Ok(Ok(mut tx)) = begun else { return };
                    let lock = $oncely.lock(format!("tx {key}")).wait(ms(0));
                    if lock.acquire_in(&mut tx).await.is_ok() {
                        let _ = tx.commit().await;
                    }
                })
                .await;
            }
        }
    }};
}

macro_rules! drops {
    ($oncely:expr, $pool:expr, $futures:expr) => {{
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (oncely, pool): (Coordinator, _) = ($oncely.clone(), $pool.clone());
            tasks.spawn(async move {
                for _ in 0..$futures / 8 {
                    drop_one!(oncely, pool);
                }
            });
        }
        tokio::time::timeout(secs(120), tasks.join_all()).await.expect("it goes on");
        // What was begun comes to its end, and what was left half-way expires.
        sleep(secs(1)).await;
        for key in 0..200 {
            let key = key.to_string();
            let lock = $oncely.lock(&key).wait(secs(20)).acquire().await.unwrap();
            lock.release().await.unwrap();
            let lock = $oncely.lock(format!("tx {key}")).wait(secs(20)).acquire().await.unwrap();
            lock.release().await.unwrap();
            let call = $oncely.idempotent("call", &key).wait(secs(20));
            call.run(|_| async { Ok::<_, Error>(1) }).await.unwrap();
            let paid = payments::pay(&$oncely, &$pool, &key).await.unwrap();
            assert_eq!(*paid.value(), 2);
        }
        // The pool has all its connections, and each of them works.
        let all: Vec<_> = (0..4).map(|_| $pool.acquire()).collect();
        for connection in all {
            let mut connection = connection.await.unwrap();
            sqlx::query("select 1").execute(&mut *connection).await.unwrap();
        }
        let count = "select count(*) from effects";
        let effects: i64 = sqlx::query_scalar(count).fetch_one(&$pool).await.unwrap();
        assert_eq!(effects, 400);
    }};
}

/// What still comes to its end, such as a purge, is open for a moment.
macro_rules! nothing_stays_open {
    ($pool:expr, $count:expr) => {
        soon(async {
            while sqlx::query_scalar::<_, i64>($count).fetch_one(&$pool).await.unwrap() > 0 {
                sleep(ms(50)).await;
            }
        })
        .await
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_dropped_futures_leave_postgres_whole() {
    let server = PostgresServer::with(&["fsync=off"]);
    let oncely = Coordinator::connect(&server.url()).await.unwrap();
    let pool: PgPool = payments::pool(&server.url(), 4).await;
    sqlx::query(TABLE).execute(&pool).await.unwrap();
    drops!(oncely, pool, 10_000);
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    nothing_stays_open!(pool, open);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_dropped_futures_leave_mysql_whole() {
    let server = MySqlServer::with(&["--innodb-flush-log-at-trx-commit=0"]);
    let url = server.database().await;
    let oncely = Coordinator::connect(&url).await.unwrap();
    let pool: MySqlPool = payments::pool(&url, 4).await;
    sqlx::query(TABLE).execute(&pool).await.unwrap();
    drops!(oncely, pool, 10_000);
    let open = "select count(*) from information_schema.innodb_trx";
    nothing_stays_open!(pool, open);
}

/// Tasks that pay until every key is paid, whatever happens meanwhile.
macro_rules! load {
    ($oncely:expr, $pool:expr, $crash:expr) => {{
        let mut tasks = JoinSet::new();
        for worker in 0..8 {
            let (oncely, pool) = ($oncely.clone(), $pool.clone());
            tasks.spawn(async move {
                let mut failures = 0;
                for number in 0..60 {
                    let key = format!("{}-{number}", worker / 2);
                    loop {
                        match payments::pay(&oncely, &pool, &key).await {
                            Ok(_) => break,
                            Err(Failed::Oncely(error)) => assert!(error.is_retryable(), "{error}"),
                            Err(Failed::Sql(_)) => {}
                        }
                        failures += 1;
                        sleep(ms(20)).await;
                    }
                    // And beside it without a transaction.
                    while oncely
                        .idempotent("other", &key)
                        .lease(ms(400))
                        .run(|_| async { Ok::<_, Error>(3) })
                        .await
                        .is_err()
                    {
                        sleep(ms(20)).await;
                    }
                    sleep(ms(5)).await;
                }
                failures
            });
        }
        for _ in 0..3 {
            sleep(ms(150)).await;
            $crash;
        }
        let failures = tokio::time::timeout(secs(120), tasks.join_all()).await.expect("an end");
        assert!(failures.iter().sum::<i32>() > 0, "nobody noticed the crashes");
        let counts = "select name, count(*) from effects group by name";
        let counts: Vec<(String, i64)> = sqlx::query_as(counts).fetch_all(&$pool).await.unwrap();
        let counts: BTreeMap<_, _> = counts.into_iter().collect();
        assert_eq!(counts.len(), 240);
        assert!(counts.values().all(|count| *count == 2), "{counts:?}");
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_crashes_under_load_loses_and_repeats_nothing() {
    let mut server = PostgresServer::start();
    let oncely = Coordinator::connect(&server.url()).await.unwrap();
    let pool: PgPool = payments::pool(&server.url(), 6).await;
    sqlx::query(TABLE).execute(&pool).await.unwrap();
    let oncely = Arc::new(oncely);
    load!(
        oncely,
        pool,
        tokio::task::block_in_place(|| {
            server.crash();
            server.start_again();
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_that_crashes_under_load_loses_and_repeats_nothing() {
    let mut server = MySqlServer::start();
    let url = server.database().await;
    let oncely = Arc::new(Coordinator::connect(&url).await.unwrap());
    let pool: MySqlPool = payments::pool(&url, 6).await;
    sqlx::query(TABLE).execute(&pool).await.unwrap();
    load!(
        oncely,
        pool,
        tokio::task::block_in_place(|| {
            server.crash();
            server.start_again();
        })
    );
}

/// A server that stands still is an error within the limit: before the body, after it, and in a
/// transaction of the caller's.
macro_rules! stands_still {
    ($server:expr, $url:expr, $pool:ty) => {{
        let (server, url) = (Arc::new($server), $url);
        let oncely = Coordinator::builder().store_timeout(secs(1)).connect(&url).await.unwrap();
        let pool: $pool = payments::pool(&url, 6).await;
        sqlx::query(TABLE).execute(&pool).await.unwrap();
        let call = |key: &str| oncely.idempotent("pay", key.to_owned()).wait(ms(0));
        let done = call("0").run_on(&pool, |_, _| Box::pin(async { Ok::<_, Error>(0) }));
        soon(done).await.unwrap();

        let mut tx = pool.begin().await.unwrap();
        server.signal("-STOP");
        let began = std::time::Instant::now();
        let before = call("1").run_on(&pool, |_, _| Box::pin(async { Ok::<_, Error>(1) }));
        let joined = call("2").run_in(&mut tx, |_, _| Box::pin(async { Ok::<_, Error>(2) }));
        let (before, joined) = soon(async { tokio::join!(before, joined) }).await;
        assert_eq!(before.unwrap_err().kind(), ErrorKind::StoreUnavailable);
        assert_eq!(joined.unwrap_err().kind(), ErrorKind::StoreUnavailable);
        assert!(began.elapsed() < secs(8), "{:?}", began.elapsed());
        server.signal("-CONT");
        drop(tx);

        let stopped = Arc::clone(&server);
        let after = call("3").run_on(&pool, |tx, _| {
            Box::pin(async move {
                let effect = sqlx::query("insert into effects values ('3')");
                effect.execute(&mut **tx).await.unwrap();
                stopped.signal("-STOP");
                Ok::<_, Error>(3)
            })
        });
        let after = soon(after).await.unwrap_err();
        assert!(after.is_retryable(), "{after}");
        server.signal("-CONT");
        // Whatever became of it, there is one effect in the end.
        let again = soon(async {
            loop {
                let again = call("3").wait(secs(20)).run_on(&pool, |tx, _| {
                    Box::pin(async move {
                        let effect = sqlx::query("insert into effects values ('3')");
                        effect.execute(&mut **tx).await.unwrap();
                        Ok::<_, Error>(3)
                    })
                });
                match again.await {
                    Ok(outcome) => return outcome.into_value(),
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
                sleep(ms(50)).await;
            }
        });
        assert_eq!(again.await, 3);
        let count = "select count(*) from effects";
        assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&pool).await.unwrap(), 1);
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_stands_still_is_an_error_within_the_limit() {
    let server = PostgresServer::start();
    let url = server.url();
    stands_still!(server, url, PgPool);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mysql_that_stands_still_is_an_error_within_the_limit() {
    let server = MySqlServer::start();
    let url = server.database().await;
    stands_still!(server, url, MySqlPool);
}
