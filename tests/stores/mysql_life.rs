//! A store in MariaDB: its tables, its connections, and those of somebody's pool.

use oncely::store::sql::mysql::MySqlStore;
use oncely::store::sql::{SqlDialect, schema};
use oncely::store::{Acquired, Key, Lease, LeaseRequest, Store, StoreErrorKind, Update, Updated};
use oncely::{Coordinator, Error};
use oncely_tests::mysql::MySqlFixture;
use oncely_tests::{secs, soon};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, MySqlPool};

fn request(name: &str) -> LeaseRequest {
    LeaseRequest::new(Key::lock("life", name).unwrap(), secs(60))
}

async fn take(store: &dyn Store, name: &str) -> Lease {
    match store.acquire(&[request(name)]).await.unwrap() {
        Acquired::Leases(mut leases) => leases.pop().unwrap(),
        Acquired::Occupied(occupant) => panic!("{occupant:?}"),
    }
}

#[tokio::test]
async fn tables_of_ones_own_migrations_are_used() {
    let fixture = MySqlFixture::new().await;
    let pool = MySqlPool::connect(fixture.url()).await.unwrap();
    for _ in 0..2 {
        sqlx::raw_sql(schema(SqlDialect::MySql)).execute(&pool).await.unwrap();
    }
    let store = MySqlStore::connect(fixture.url()).await.unwrap();
    take(&store, "key").await;
}

#[tokio::test]
async fn a_user_without_rights_is_told_what_is_missing() {
    let fixture = MySqlFixture::new().await;
    let pool = MySqlPool::connect(fixture.url()).await.unwrap();
    let database: String = sqlx::query_scalar("select database()").fetch_one(&pool).await.unwrap();
    let user = format!("u{}", fastrand::u32(..));
    let create =
        format!("create user {user}@localhost; grant select on {database}.* to {user}@localhost");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.unwrap();
    let url = fixture.url().replace("root@", &format!("{user}@"));
    let missing = MySqlStore::connect(&url).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::Unsupported, "{missing}");
    assert!(missing.to_string().contains("schema"), "{missing}");

    // Who may only read can come in, and is told when it matters.
    let store = fixture.open().await;
    let reader = MySqlStore::connect(&url).await.unwrap();
    let refused = reader.acquire(&[request("key")]).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unsupported, "{refused}");
    assert!(refused.to_string().contains("right"), "{refused}");

    // Tables that somebody else made, with the rights to use them, are enough.
    let grant = format!("grant select, insert, update, delete on {database}.* to {user}@localhost");
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&pool).await.unwrap();
    let limited = MySqlStore::connect(&url).await.unwrap();
    let lease = take(&limited, "key").await;
    assert_eq!(store.update(&[(lease, Update::Release)]).await.unwrap(), [Updated::Applied]);
}

#[tokio::test]
async fn tables_of_a_later_release_are_refused() {
    let fixture = MySqlFixture::new().await;
    drop(fixture.open().await);
    let pool = MySqlPool::connect(fixture.url()).await.unwrap();
    let later = "update oncely_meta set value = 2 where name = 'schema_version'";
    sqlx::raw_sql(later).execute(&pool).await.unwrap();
    let refused = MySqlStore::connect(fixture.url()).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unsupported);
    assert!(refused.to_string().contains("version 2"), "{refused}");
}

#[tokio::test]
async fn many_may_make_the_tables_at_once() {
    let fixture = MySqlFixture::new().await;
    let opens = (0..12).map(|_| {
        let url = fixture.url().to_owned();
        async move { MySqlStore::connect(&url).await.unwrap() }
    });
    let stores = opens.collect::<tokio::task::JoinSet<_>>().join_all().await;
    assert_eq!(stores.len(), 12);
}

#[tokio::test]
async fn a_pool_of_one_connection_is_enough_and_keeps_its_settings() {
    let fixture = MySqlFixture::new().await;
    let options = MySqlPoolOptions::new().max_connections(1).after_connect(|connection, _| {
        Box::pin(async move {
            let settings = "set session innodb_lock_wait_timeout = 17";
            sqlx::raw_sql(settings).execute(connection).await.map(drop)
        })
    });
    let pool = options.connect(fixture.url()).await.unwrap();
    let settings = async || -> (u64, String) {
        let ask = "select cast(@@innodb_lock_wait_timeout as unsigned), @@tx_isolation";
        sqlx::query_as(ask).fetch_one(&pool).await.unwrap()
    };
    let before = settings().await;
    assert_eq!(before.0, 17);
    let oncely = Coordinator::new(MySqlStore::from_pool(pool.clone()).await.unwrap());
    let calls = (0..40).map(|index| {
        let oncely = oncely.clone();
        async move {
            let call = oncely.idempotent("pay", (index % 8).to_string()).wait(secs(30));
            call.run(|_| async { Ok::<_, Error>(1) }).await.unwrap()
        }
    });
    let done = soon(calls.collect::<tokio::task::JoinSet<_>>().join_all()).await;
    assert_eq!(done.iter().filter(|outcome| !outcome.is_replayed()).count(), 8);
    let lock = soon(oncely.lock("order").acquire()).await.unwrap();
    lock.release().await.unwrap();
    assert_eq!(settings().await, before);
    assert_eq!(pool.size(), 1);
}

/// A claim reads the floor of the tokens so that nobody changes it before the transaction ends; a
/// purge has raised it far enough before, and need not.
#[tokio::test]
async fn an_open_transaction_does_not_keep_the_store_from_deleting() {
    let fixture = MySqlFixture::new().await;
    let store = fixture.open().await;
    let pool = MySqlPool::connect(fixture.url()).await.unwrap();
    for name in ["first", "second"] {
        let lease = take(&store, name).await;
        assert_eq!(store.update(&[(lease, Update::Release)]).await.unwrap(), [Updated::Applied]);
    }
    let age = async |name: &str| {
        let old = "update oncely_records set purge_at = 1 where `key` = ?";
        let key = request(name).key.as_str().as_bytes().to_vec();
        let aged = sqlx::query(old).bind(key).execute(&pool).await.unwrap();
        assert_eq!(aged.rows_affected(), 1);
    };
    age("first").await;
    assert_eq!(store.purge().await.unwrap(), 1);

    let oncely = Coordinator::new(fixture.open().await);
    let mut tx = pool.begin().await.unwrap();
    let call = oncely.idempotent("pay", "1");
    call.run_in(&mut tx, |_, _| Box::pin(async { Ok::<_, Error>(1) })).await.unwrap();
    age("second").await;
    assert_eq!(store.purge().await.unwrap(), 1);
    tx.commit().await.unwrap();
}
