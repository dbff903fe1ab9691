//! The store's own life: opened here and used there, dropped anywhere, purged on the side.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use oncely::store::sql::sqlite::SqliteStore;
use oncely::store::{
    Acquired, Key, Lease, LeaseRequest, OnInterrupted, Store, StoreErrorKind, StoredOutcome,
    Update, Updated,
};
use oncely_tests::sqlite::SqliteFixture;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::runtime::{Builder, Runtime};

const LONG: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn request(name: &str) -> LeaseRequest {
    LeaseRequest::new(Key::lock("life", name).unwrap(), LONG)
}

async fn take(store: &dyn Store, request: &LeaseRequest) -> Lease {
    match store.acquire(std::slice::from_ref(request)).await.unwrap() {
        Acquired::Leases(mut leases) => leases.pop().unwrap(),
        Acquired::Occupied(occupant) => panic!("{occupant:?}"),
    }
}

async fn count(fixture: &SqliteFixture) -> i64 {
    let options: sqlx::sqlite::SqliteConnectOptions = fixture.url().parse().unwrap();
    let mut connection: SqliteConnection = options.connect().await.unwrap();
    sqlx::query_scalar("select count(*) from oncely_records")
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_store_outlives_the_runtime_it_was_opened_in() {
    let fixture = SqliteFixture::new();
    let first = runtime();
    let store = first.block_on(fixture.open());
    let lease = first.block_on(take(&store, &request("key")));
    drop(first);
    for round in 0..3 {
        let next = runtime();
        let renew = Update::Renew { lease: LONG };
        next.block_on(store.update(&[(lease.clone(), renew)])).unwrap();
        next.block_on(take(&store, &request(&round.to_string())));
    }
    // Neither a runtime nor a thread of one is here.
    drop(store);
}

#[test]
fn a_runtime_that_stops_half_way_leaves_the_store_usable() {
    let fixture = SqliteFixture::new();
    let store = Arc::new(runtime().block_on(fixture.open()));
    for polls in 0..40 {
        let stopping = runtime();
        let requests = [request(&format!("{polls} a")), request(&format!("{polls} b"))];
        let copy = Arc::clone(&store);
        let sent = requests.clone();
        let task = stopping.spawn(async move { copy.acquire(&sent).await });
        stopping.block_on(async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_micros(20));
            }
        });
        drop(stopping);
        drop(task);
        let after = runtime();
        let leases = match after.block_on(store.acquire(&requests)).unwrap() {
            Acquired::Leases(leases) => leases,
            Acquired::Occupied(occupant) => panic!("{occupant:?}"),
        };
        assert_eq!(leases.len(), 2);
    }
}

#[test]
fn no_runtime_is_needed_at_all() {
    let fixture = SqliteFixture::new();
    let store = park_on(fixture.open());
    let lease = park_on(take(&store, &request("key")));
    let answers = park_on(store.update(&[(lease, Update::Release)])).unwrap();
    assert_eq!(answers, [Updated::Applied]);
}

/// Polls on this thread, without any runtime.
fn park_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn what_was_sent_is_done_though_its_runtime_stands_still() {
    let fixture = SqliteFixture::new();
    let still = runtime();
    let store = still.block_on(fixture.open());
    let requests = [request("key")];
    let rival = LeaseRequest::new(requests[0].key.clone(), LONG);
    for _ in 0..10 {
        still.block_on(async {
            let mut acquire = store.acquire(&requests);
            for _ in 0..5 {
                let poll =
                    poll_fn(|context| Poll::Ready(acquire.as_mut().poll(context).is_ready()));
                if poll.await {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
        });
        // That runtime is there, and nobody drives it. The others go on.
        let lease = runtime().block_on(take(&store, &requests[0]));
        let released = runtime().block_on(store.update(&[(lease, Update::Release)])).unwrap();
        assert_eq!(released, [Updated::Applied]);
        let lease = runtime().block_on(take(&store, &rival));
        runtime().block_on(store.update(&[(lease, Update::Release)])).unwrap();
    }
}

#[test]
fn what_was_sent_is_done_though_the_store_is_dropped() {
    let fixture = SqliteFixture::new();
    let store = runtime().block_on(fixture.open());
    let lease = runtime().block_on(take(&store, &request("key")));
    let updates = [(lease, Update::Release)];
    runtime().block_on(async {
        let mut release = store.update(&updates);
        let _ = poll_fn(|context| Poll::Ready(release.as_mut().poll(context))).await;
    });
    drop(store);
    runtime().block_on(async {
        let store = fixture.open().await;
        let rival = [request("key")];
        let started = std::time::Instant::now();
        while let Acquired::Occupied(occupant) = store.acquire(&rival).await.unwrap() {
            assert!(started.elapsed() < Duration::from_secs(10), "not released: {occupant:?}");
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_record_is_not_the_trouble_of_those_who_write_beside_it() {
    let fixture = SqliteFixture::new();
    let store = Arc::new(fixture.open().await);
    let requests: Vec<_> = (0..40).map(|index| request(&index.to_string())).collect();
    let Acquired::Leases(leases) = store.acquire(&requests).await.unwrap() else { panic!() };
    let options: sqlx::sqlite::SqliteConnectOptions = fixture.url().parse().unwrap();
    let mut connection = options.connect().await.unwrap();
    sqlx::query("update oncely_records set state = 9 where key = ?")
        .bind(leases[20].key.as_str().as_bytes())
        .execute(&mut connection)
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for (index, lease) in leases.into_iter().enumerate() {
        let store = Arc::clone(&store);
        tasks.spawn(async move { (index, store.update(&[(lease, Update::Release)]).await) });
    }
    for (index, answer) in tasks.join_all().await {
        match answer {
            Ok(answers) => assert_eq!((answers, index == 20), (vec![Updated::Applied], false)),
            Err(error) => assert_eq!((error.kind(), index), (StoreErrorKind::Corrupt, 20)),
        }
    }
}

#[tokio::test]
async fn records_survive_closing_the_file() {
    let fixture = SqliteFixture::new();
    let lease = take(&fixture.open().await, &request("key")).await;
    for _ in 0..3 {
        let store = fixture.open().await;
        match store.acquire(&[request("key")]).await.unwrap() {
            Acquired::Occupied(occupant) => assert_eq!(occupant.token, lease.token),
            Acquired::Leases(leases) => panic!("{leases:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_a_new_file_at_once() {
    for _ in 0..5 {
        let fixture = Arc::new(SqliteFixture::new());
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..12 {
            let fixture = Arc::clone(&fixture);
            tasks.spawn(async move {
                let store = SqliteStore::connect(&fixture.url()).await.unwrap();
                take(&store, &request(&index.to_string())).await
            });
        }
        let store = fixture.open().await;
        for lease in tasks.join_all().await {
            match store.acquire(&[LeaseRequest::new(lease.key.clone(), LONG)]).await.unwrap() {
                Acquired::Occupied(occupant) => assert_eq!(occupant.token, lease.token),
                Acquired::Leases(leases) => panic!("its table was made anew: {leases:?}"),
            }
        }
    }
}

#[test]
fn a_caller_that_stands_still_keeps_nobody_from_the_store() {
    let fixture = SqliteFixture::new();
    let store = runtime().block_on(fixture.open());
    // From now on new keys are expected.
    for name in ["a", "b", "c"] {
        runtime().block_on(take(&store, &request(name)));
    }
    let still = runtime();
    let requests = [request("still")];
    let mut acquire = store.acquire(&requests);
    still.block_on(async {
        let _ = poll_fn(|context| Poll::Ready(acquire.as_mut().poll(context))).await;
    });
    // Nobody polls it any more. Its statement is done all the same, and nobody waits for it.
    let started = std::time::Instant::now();
    let lease = runtime().block_on(take(&store, &request("another")));
    let released = runtime().block_on(store.update(&[(lease, Update::Release)])).unwrap();
    assert_eq!(released, [Updated::Applied]);
    let rival = [LeaseRequest::new(requests[0].key.clone(), LONG)];
    let met = runtime().block_on(store.acquire(&rival)).unwrap();
    assert!(matches!(met, Acquired::Occupied(_)), "{met:?}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    drop(acquire);
}

#[test]
fn an_update_that_was_dropped_before_its_turn_came_is_done() {
    let fixture = SqliteFixture::new();
    let store = runtime().block_on(fixture.open());
    let lease = runtime().block_on(take(&store, &request("key")));
    let options: sqlx::sqlite::SqliteConnectOptions = fixture.url().parse().unwrap();
    let waiting = runtime();
    let mut writer = waiting.block_on(options.connect()).unwrap();
    waiting.block_on(sqlx::raw_sql("begin immediate").execute(&mut writer)).unwrap();
    let updates = [(lease, Update::Release)];
    waiting.block_on(async {
        let mut release = store.update(&updates);
        let _ = poll_fn(|context| Poll::Ready(release.as_mut().poll(context))).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    });
    waiting.block_on(sqlx::raw_sql("rollback").execute(&mut writer)).unwrap();
    let started = std::time::Instant::now();
    let rival = [request("key")];
    while let Acquired::Occupied(occupant) = waiting.block_on(store.acquire(&rival)).unwrap() {
        assert!(started.elapsed() < Duration::from_secs(8), "not released: {occupant:?}");
    }
}

#[tokio::test]
async fn an_outcome_that_is_kept_longer_is_not_replayed_longer() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let lease = take(&store, &request("a day")).await;
    let outcome = StoredOutcome::Value((*b"outcome").into());
    let update = Update::Complete { outcome, retention: DAY };
    assert_eq!(store.update(&[(lease, update)]).await.unwrap(), [Updated::Applied]);
    fixture.clock().step_forward(DAY - Duration::from_secs(1));
    assert_eq!(store.purge().await.unwrap(), 0, "it is replayed");
    let again = [request("a day")];
    assert!(matches!(store.acquire(&again).await.unwrap(), Acquired::Occupied(_)));
    fixture.clock().step_forward(Duration::from_secs(2));
    assert_eq!(store.purge().await.unwrap(), 0, "its place among those to be purged was kept");
    take(&store, &again[0]).await;
    fixture.clock().step_forward(DAY * 2);
    assert_eq!(store.purge().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn replays_do_not_wait_for_a_writer() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let lease = take(&store, &request("done")).await;
    let outcome = StoredOutcome::Value((*b"outcome").into());
    store.update(&[(lease, Update::Complete { outcome, retention: LONG })]).await.unwrap();

    let options: sqlx::sqlite::SqliteConnectOptions = fixture.url().parse().unwrap();
    let mut writer = options.connect().await.unwrap();
    sqlx::raw_sql("begin immediate").execute(&mut writer).await.unwrap();
    let done = [request("done")];
    let replay = tokio::time::timeout(Duration::from_secs(2), store.acquire(&done));
    assert!(matches!(replay.await.expect("an answer").unwrap(), Acquired::Occupied(_)));

    // Who needs the lock waits for it, and not for ever.
    let new = [request("new")];
    let error = store.acquire(&new).await.expect_err("the lock is taken");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("locked"), "{error}");
    sqlx::raw_sql("rollback").execute(&mut writer).await.unwrap();
    take(&store, &new[0]).await;
}

#[tokio::test]
async fn a_purge_deletes_what_nobody_needs_and_nothing_else() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let complete = |retention| Update::Complete { outcome: StoredOutcome::Absent, retention };
    let hold = |name: &str| request(name).with_on_interrupted(OnInterrupted::Hold);
    let ends = [
        (request("in progress"), None),
        (request("interrupted"), Some(Update::Interrupt)),
        (request("released"), Some(Update::Release)),
        (request("completed for an hour"), Some(complete(DAY / 24))),
        (request("completed for a week"), Some(complete(DAY * 7))),
        (hold("held in progress"), None),
        (hold("held interrupted"), Some(Update::Interrupt)),
        (hold("held released"), Some(Update::Release)),
    ];
    for (request, end) in ends {
        let lease = take(&store, &request).await;
        if let Some(end) = end {
            store.update(&[(lease, end)]).await.unwrap();
        }
    }
    assert_eq!(store.purge().await.unwrap(), 0, "nothing is old yet");
    fixture.clock().step_forward(Duration::from_secs(61));
    assert_eq!(store.purge().await.unwrap(), 2, "the released ones");
    fixture.clock().step_forward(DAY / 24);
    assert_eq!(store.purge().await.unwrap(), 1, "the hour is over");
    fixture.clock().step_forward(DAY);
    assert_eq!(store.purge().await.unwrap(), 2, "nobody came back for a day");
    fixture.clock().step_forward(DAY * 6);
    assert_eq!(store.purge().await.unwrap(), 1, "the week is over");
    fixture.clock().step_forward(DAY * 10_000);
    assert_eq!(store.purge().await.unwrap(), 0, "what is held back is held back");
    assert_eq!(count(&fixture).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_records_go_away_as_new_ones_come() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let requests: Vec<_> = (0..1200).map(|index| request(&format!("old {index}"))).collect();
    let Acquired::Leases(leases) = store.acquire(&requests).await.unwrap() else { panic!() };
    let released: Vec<_> = leases.into_iter().map(|lease| (lease, Update::Release)).collect();
    store.update(&released).await.unwrap();
    drop(store);
    fixture.clock().step_forward(DAY);

    // A new process has something to do soon, and does it beside its writes.
    let store = fixture.open().await;
    for index in 0..15 {
        take(&store, &request(&format!("new {index}"))).await;
    }
    let started = std::time::Instant::now();
    while count(&fixture).await > 15 {
        assert!(started.elapsed() < Duration::from_secs(20), "old records are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
