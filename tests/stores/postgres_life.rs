//! A store in PostgreSQL: its tables, its connections, and what it does while nothing happens.

use std::time::Duration;

use oncely::store::sql::postgres::PostgresStore;
use oncely::store::sql::{SqlDialect, schema};
use oncely::store::{Acquired, Key, Lease, LeaseRequest, Store, StoreErrorKind, Update};
use oncely::{Coordinator, Error};
use oncely_tests::postgres::{PostgresFixture, PostgresServer};
use oncely_tests::server::{Server, folder, program};
use oncely_tests::{ms, secs, soon};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::time::{Instant, sleep};

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
    let fixture = PostgresFixture::new().await;
    let pool = PgPool::connect(fixture.url()).await.unwrap();
    for _ in 0..2 {
        sqlx::raw_sql(schema(SqlDialect::Postgres)).execute(&pool).await.unwrap();
    }
    let store = PostgresStore::connect(fixture.url()).await.unwrap();
    take(&store, "key").await;
}

#[tokio::test]
async fn a_user_without_rights_is_told_what_is_missing() {
    let fixture = PostgresFixture::new().await;
    let pool = PgPool::connect(fixture.url()).await.unwrap();
    let user = format!("u{}", fastrand::u32(..));
    let create = format!("create role {user} login");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.unwrap();
    let url = fixture.url().replace("oncely@", &format!("{user}@"));
    let missing = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(missing.kind(), StoreErrorKind::Unsupported, "{missing}");
    assert!(missing.to_string().contains("schema"), "{missing}");

    // Tables that somebody else made, with the rights to use them, are enough.
    let (store, name) = (fixture.open().await, fixture.url().rsplit('=').next().unwrap());
    let grant = format!(
        "grant usage on schema {name} to {user}; \
         grant select, insert, update, delete on all tables in schema {name} to {user}"
    );
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&pool).await.unwrap();
    let limited = PostgresStore::connect(&url).await.unwrap();
    let lease = take(&limited, "key").await;
    store.update(&[(lease, Update::Release)]).await.unwrap();
}

/// Runs a call in a transaction of its own, whose outcome is kept for an hour.
async fn pay(oncely: &Coordinator, pool: &PgPool) -> bool {
    let call = oncely.idempotent("pay", "1").retention(secs(3600));
    let paid = call.run_on(pool, |_, _| Box::pin(async { Ok::<_, Error>(1) }));
    paid.await.unwrap().is_replayed()
}

#[tokio::test]
async fn a_record_that_is_due_before_its_time_is_not_purged() {
    let fixture = PostgresFixture::new().await;
    let pool = PgPool::connect(fixture.url()).await.unwrap();
    let store = fixture.open().await;
    let oncely = Coordinator::new(fixture.open().await);
    assert!(!pay(&oncely, &pool).await);
    // As if its body had taken longer than the claim expected.
    let due = "update oncely_records set purge_at = 0";
    sqlx::raw_sql(due).execute(&pool).await.unwrap();
    assert_eq!(store.purge().await.unwrap(), 0);
    assert!(pay(&oncely, &pool).await);
    fixture.clock().step_forward(secs(3601));
    assert_eq!(store.purge().await.unwrap(), 1);
}

#[tokio::test]
async fn a_lock_that_was_given_back_is_purged_after_a_while_and_not_before() {
    let fixture = PostgresFixture::new().await;
    let pool = PgPool::connect(fixture.url()).await.unwrap();
    let store = fixture.open().await;
    for due in ["0", "9000000000000"] {
        let lease = take(&store, "key").await;
        let due = format!("update oncely_records set purge_at = {due}");
        sqlx::raw_sql(AssertSqlSafe(due)).execute(&pool).await.unwrap();
        store.update(&[(lease, Update::Release)]).await.unwrap();
        assert_eq!(store.purge().await.unwrap(), 0);
        fixture.clock().step_forward(secs(59));
        assert_eq!(store.purge().await.unwrap(), 0);
        fixture.clock().step_forward(secs(11 * 60));
        assert_eq!(store.purge().await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_lock_is_taken_again_and_again_between_new_ones() {
    let fixture = PostgresFixture::new().await;
    let store = fixture.open().await;
    let mut last = 0;
    for round in 0..40 {
        let lease = take(&store, "key").await;
        assert!(lease.token.value() > last, "round {round}");
        last = lease.token.value();
        store.update(&[(lease, Update::Release)]).await.unwrap();
        if round % 7 == 0 {
            take(&store, &format!("new {round}")).await;
        }
    }
}

#[tokio::test]
async fn what_a_transaction_takes_over_is_purged_with_its_outcome() {
    let fixture = PostgresFixture::new().await;
    let pool = PgPool::connect(fixture.url()).await.unwrap();
    let (store, oncely) = (fixture.open().await, Coordinator::new(fixture.open().await));
    let call = oncely.idempotent("pay", "1").run(|_| std::future::pending::<Result<u8, Error>>());
    assert!(tokio::time::timeout(ms(300), call).await.is_err());
    assert!(!soon(pay(&oncely, &pool)).await);
    fixture.clock().step_forward(secs(2 * 3600));
    assert_eq!(store.purge().await.unwrap(), 1);
}

#[tokio::test]
async fn tables_of_a_later_release_are_refused() {
    let fixture = PostgresFixture::new().await;
    drop(fixture.open().await);
    let pool = PgPool::connect(fixture.url()).await.unwrap();
    let later = "update oncely_meta set value = 2 where name = 'schema_version'";
    sqlx::raw_sql(later).execute(&pool).await.unwrap();
    let refused = PostgresStore::connect(fixture.url()).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unsupported);
    assert!(refused.to_string().contains("version 2"), "{refused}");
}

#[tokio::test]
async fn many_may_make_the_tables_at_once() {
    let fixture = PostgresFixture::new().await;
    let opens = (0..12).map(|_| {
        let url = fixture.url().to_owned();
        async move { PostgresStore::connect(&url).await.unwrap() }
    });
    let stores = opens.collect::<tokio::task::JoinSet<_>>().join_all().await;
    assert_eq!(stores.len(), 12);
}

#[tokio::test]
async fn a_pool_of_one_connection_is_enough() {
    let fixture = PostgresFixture::new().await;
    let options = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let pool = options.connect(fixture.url()).await.unwrap();
    let oncely = Coordinator::new(PostgresStore::from_pool(pool.clone()).await.unwrap());
    let calls = (0..40).map(|index| {
        let oncely = oncely.clone();
        async move {
            let call = oncely.idempotent("pay", (index % 8).to_string()).wait(secs(30));
            call.run(|_| async { Ok::<_, Error>(1) }).await.unwrap()
        }
    });
    let done = soon(calls.collect::<tokio::task::JoinSet<_>>().join_all()).await;
    assert_eq!(done.iter().filter(|outcome| !outcome.is_replayed()).count(), 8);
    assert_eq!(pool.size(), 1);
}

#[test]
fn a_store_outlives_the_runtime_it_was_opened_in() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let fixture = first.block_on(PostgresFixture::new());
    let store = first.block_on(fixture.open());
    let lease = first.block_on(take(&store, "key"));
    drop(first);
    for round in 0..12 {
        let next = runtime();
        let renew = Update::Renew { lease: secs(60) };
        next.block_on(store.update(&[(lease.clone(), renew)])).unwrap();
        next.block_on(take(&store, &round.to_string()));
    }
    drop(store);
}

#[tokio::test]
async fn an_idle_coordinator_asks_nothing() {
    let server = PostgresServer::with(&["fsync=off", "autovacuum=off"]);
    let store = PostgresStore::connect(&server.url()).await.unwrap().listening();
    let oncely = Coordinator::new(store);
    oncely.lock("key").run(|_| async { Ok::<_, Error>(()) }).await.unwrap();
    let pool = PgPool::connect(&server.url()).await.unwrap();
    let asked = async || -> i64 {
        let transactions = "select pg_stat_clear_snapshot(), sum(xact_commit + xact_rollback)::int8 \
             from pg_stat_database where datname = 'postgres'";
        let row: ((), i64) = sqlx::query_as(transactions).fetch_one(&pool).await.unwrap();
        row.1
    };
    sleep(secs(2)).await;
    let before = asked().await;
    sleep(secs(3)).await;
    // Our own questions are all there is.
    let more = asked().await - before;
    assert!(more <= 2, "{more} transactions while nothing happened");
}

#[tokio::test]
async fn who_listens_is_told_when_the_holder_is_done() {
    let fixture = PostgresFixture::new().await;
    let open = async || PostgresStore::connect(fixture.url()).await.unwrap();
    // The holder does not listen.
    let holder = Coordinator::new(open().await);
    let waiter = Coordinator::new(open().await.listening());
    let mut waited = Vec::new();
    for _ in 0..12 {
        let guard = holder.lock("key").acquire().await.unwrap();
        let waiting = {
            let waiter = waiter.clone();
            tokio::spawn(async move {
                let guard = waiter.lock("key").wait(secs(30)).acquire().await.unwrap();
                (Instant::now(), guard)
            })
        };
        // Past the short pauses between the first looks.
        sleep(ms(400)).await;
        let released = Instant::now();
        guard.release().await.unwrap();
        let (got, guard) = soon(waiting).await.unwrap();
        waited.push(got - released);
        guard.release().await.unwrap();
    }
    waited.sort_unstable();
    // Looking every 100 ms would take 50 in the middle.
    assert!(waited[5] < ms(25), "{waited:?}");
}

#[tokio::test]
async fn nobody_listens_for_long_when_nobody_waits_though_there_is_news() {
    let fixture = PostgresFixture::new().await;
    let name = format!("listener{}", fastrand::u32(..));
    let url = format!("{}&application_name={name}", fixture.url());
    let store = PostgresStore::connect(&url).await.unwrap().listening();
    let pool = PgPool::connect(fixture.url()).await.unwrap();
    let listeners = async || -> i64 {
        let ask = "select pg_notify('oncely', '00'), (select count(*) from pg_stat_activity \
             where application_name = $1 and query ilike 'listen%')";
        let row: ((), i64) = sqlx::query_as(ask).bind(&name).fetch_one(&pool).await.unwrap();
        row.1
    };
    let key = request("key").key;
    let waiter = store.changed(&key);
    let listens = async |expected: i64| {
        while listeners().await != expected {
            sleep(ms(200)).await;
        }
    };
    soon(listens(1)).await;
    drop(waiter);
    soon(listens(0)).await;
}

#[tokio::test]
async fn a_pooler_that_assigns_servers_to_transactions_will_do() {
    let fixture = PostgresFixture::new().await;
    let (place, server) = (folder(), PostgresServer::shared());
    let schema = fixture.url().rsplit('=').next().unwrap().to_owned();
    let user = format!("pooled_{schema}");
    let users = place.path().join("users");
    std::fs::write(&users, format!("\"{user}\" \"\"\n")).unwrap();
    let settings = format!(
        "[databases]\npostgres = host={} dbname=postgres\n[pgbouncer]\nunix_socket_dir = {}\n\
         listen_port = 6432\nlisten_addr =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
         default_pool_size = 3\nmax_client_conn = 200\n\
         ignore_startup_parameters = extra_float_digits,options\n",
        server.folder().display(),
        place.path().display(),
        users.display()
    );
    let file = place.path().join("settings.ini");
    std::fs::write(&file, settings).unwrap();
    let binary = program("pgbouncer", &["/usr/sbin".into()]);
    let pooler = Server::start(&binary, &[file.display().to_string()], place.path());
    let socket = place.path().join(".s.PGSQL.6432");
    let began = Instant::now();
    while std::os::unix::net::UnixStream::connect(&socket).is_err() {
        assert!(began.elapsed() < secs(10), "no pooler");
        sleep(ms(10)).await;
    }
    let pool = PgPool::connect(fixture.url()).await.unwrap();
    let create =
        format!("create role {user} superuser login; alter role {user} set search_path = {schema}");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&pool).await.unwrap();
    let url = format!(
        "postgres://{user}@localhost:6432/postgres?host={}&statement-cache-capacity=0",
        place.path().display()
    );
    let opens = (0..4).map(|_| {
        let url = url.clone();
        async move { Coordinator::connect(&url).await.unwrap() }
    });
    let coordinators = opens.collect::<tokio::task::JoinSet<_>>().join_all().await;
    let calls = (0..200).map(|index| {
        let oncely = coordinators[index % 4].clone();
        async move {
            let call = oncely.idempotent("pay", (index % 40).to_string()).wait(secs(30));
            call.run(|_| async move { Ok::<_, Error>(index % 40) }).await.unwrap()
        }
    });
    let done = soon(calls.collect::<tokio::task::JoinSet<_>>().join_all()).await;
    assert_eq!(done.iter().filter(|outcome| !outcome.is_replayed()).count(), 40);
    drop((coordinators, pooler));
}

#[tokio::test]
async fn tokens_rise_over_a_crash_of_the_server() {
    let mut server = PostgresServer::start();
    let store = PostgresStore::connect(&server.url()).await.unwrap();
    let mut last = 0;
    for _ in 0..4 {
        for _ in 0..20 {
            let lease = take(&store, "key").await;
            assert!(lease.token.value() > last, "{:?} after {last}", lease.token);
            last = lease.token.value();
            store.update(&[(lease, Update::Release)]).await.unwrap();
        }
        let done = take(&store, "done").await;
        let outcome = oncely::store::StoredOutcome::Absent;
        let complete = Update::Complete { outcome, retention: Duration::from_millis(1) };
        store.update(&[(done, complete)]).await.unwrap();
        server.crash();
        server.start_again();
        sleep(ms(5)).await;
    }
}
