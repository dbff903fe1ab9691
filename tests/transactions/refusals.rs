//! Transactions that a call cannot join are refused before the body runs.

use oncely::{Coordinator, ErrorKind};
use oncely_tests::mysql::MySqlFixture;
use oncely_tests::postgres::PostgresFixture;
use oncely_tests::redis::RedisServer;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::database::{mysql, postgres, sqlite};

#[tokio::test]
async fn a_coordinator_without_a_database_refuses_transactions() {
    let (place, server) = (sqlite(1).await, RedisServer::start());
    for url in ["memory:", &server.url()] {
        let oncely = Coordinator::connect(url).await.unwrap();
        let mut tx = place.pool.begin().await.unwrap();
        let refused =
            oncely.idempotent("pay", "1").run_in(&mut tx, |_, _| never()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
        let refused = oncely.lock("stock").acquire_in(&mut tx).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
    }
}

#[tokio::test]
async fn a_transaction_in_another_database_is_refused() {
    let (here, there) = (postgres(2).await, postgres(2).await);
    let file = sqlite(1).await;
    let mysql = Coordinator::connect(MySqlFixture::new().await.url()).await.unwrap();
    for oncely in [&there.oncely, &file.oncely, &mysql] {
        let mut tx = here.pool.begin().await.unwrap();
        let refused =
            oncely.idempotent("pay", "1").run_in(&mut tx, |_, _| never()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
        tx.commit().await.unwrap();
    }
    let mut tx = file.pool.begin().await.unwrap();
    let refused = here.oncely.lock("stock").acquire_in(&mut tx).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
    drop(tx);
    // Nothing was written anywhere.
    let count = "select count(*) from oncely_records";
    let count: i64 = sqlx::query_scalar(count).fetch_one(&here.pool).await.unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_mysql_connection_serves_each_database_while_it_is_in_it() {
    let (here, there) = (mysql(1).await, mysql(1).await);
    let mut connection = here.pool.acquire().await.unwrap();
    for (place, other, call) in [(&here, &there, 1), (&there, &here, 1), (&here, &there, 2)] {
        let name = place.url.split(['/', '?']).nth(3).unwrap();
        let goes = sqlx::raw_sql(AssertSqlSafe(format!("use {name}")));
        goes.execute(&mut *connection).await.unwrap();
        let mut tx = connection.begin().await.unwrap();
        let refused =
            other.oncely.idempotent("pay", "9").run_in(&mut tx, |_, _| never()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
        let call = place.oncely.idempotent("pay", call.to_string());
        let body = call.run_in(&mut tx, |_, _| Box::pin(async { Ok::<_, oncely::Error>(1) }));
        assert!(!body.await.unwrap().is_replayed());
        tx.commit().await.unwrap();
    }
    drop(connection);
    for (place, records) in [(here, 2), (there, 1)] {
        let count = "select count(*) from oncely_records";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&place.pool).await.unwrap();
        assert_eq!(count, records);
    }
}

#[tokio::test]
async fn a_hidden_winner_is_a_conflict_at_higher_isolation() {
    let place = postgres(4).await;
    let begin = async || {
        let mut tx = place.pool.begin().await.unwrap();
        let level = "set transaction isolation level repeatable read";
        sqlx::query(level).execute(&mut *tx).await.unwrap();
        sqlx::query("select count(*) from effects").execute(&mut *tx).await.unwrap();
        tx
    };
    let (mut winner, mut loser) = (begin().await, begin().await);
    let call = || place.oncely.idempotent("pay", "1");
    call()
        .run_in(&mut winner, |_, _| Box::pin(async move { Ok::<_, oncely::Error>(1) }))
        .await
        .unwrap();
    winner.commit().await.unwrap();
    let lost = call()
        .run_in(&mut loser, |_, _| Box::pin(async move { Ok::<_, oncely::Error>(2) }))
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Conflict, "{lost:?}");
    assert!(lost.is_retryable());
    drop(loser);
    let mut next = place.pool.begin().await.unwrap();
    let replay = call()
        .run_in(&mut next, |_, _| Box::pin(async move { Ok::<_, oncely::Error>(3) }))
        .await
        .unwrap();
    assert_eq!((replay.is_replayed(), replay.into_value()), (true, 1));
}

#[tokio::test]
async fn a_database_without_the_tables_is_refused() {
    let (place, bare) = (postgres(2).await, PostgresFixture::new().await);
    let pool = sqlx::PgPool::connect(bare.url()).await.unwrap();
    let mut tx = pool.begin().await.unwrap();
    let refused = place.oncely.lock("stock").acquire_in(&mut tx).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
}

/// A body that must not run.
fn never() -> oncely::store::BoxFuture<'static, Result<(), oncely::Error>> {
    panic!("it ran")
}

/// On a connection without a transaction each statement would stand for itself.
macro_rules! refuses_a_bare_connection {
    ($place:expr) => {{
        let place = $place.await;
        let mut connection = place.pool.acquire().await.unwrap();
        let refused = place.oncely.lock("stock").acquire_in(&mut *connection).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
        let call = place.oncely.idempotent("pay", "1");
        let refused = call.run_in(&mut *connection, |_, _| never()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
        let refused = oncely::fence(&mut *connection, "stock", 1).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{refused}");
        // The connection that a transaction is on will do.
        let mut tx = connection.begin().await.unwrap();
        place.oncely.lock("stock").acquire_in(&mut *tx).await.unwrap();
        oncely::fence(&mut *tx, "stock", 1).await.unwrap();
        tx.commit().await.unwrap();
    }};
}

#[tokio::test]
async fn a_connection_without_a_transaction_is_refused() {
    refuses_a_bare_connection!(postgres(2));
    refuses_a_bare_connection!(mysql(2));
    refuses_a_bare_connection!(sqlite(2));
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_is_no_outage() {
    let place = postgres(2).await;
    let rule = "create table owners (name text primary key); \
                create table things (owner text references owners deferrable initially deferred)";
    sqlx::raw_sql(rule).execute(&place.pool).await.unwrap();
    let call = place.oncely.idempotent("pay", "1");
    let refused = call.run_on(&place.pool, |tx, _| {
        Box::pin(async move {
            let thing = sqlx::query("insert into things values ('nobody')");
            thing.execute(&mut **tx).await.map(drop).map_err(std::io::Error::other)?;
            Ok::<_, anyhow::Error>(1)
        })
    });
    let refused = refused.await.unwrap_err().downcast::<oncely::Error>().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    // Nothing of it stands.
    let call = place.oncely.idempotent("pay", "1");
    let again = call.run_on(&place.pool, |_, _| Box::pin(async { Ok::<_, oncely::Error>(2) }));
    assert!(!again.await.unwrap().is_replayed());
}
