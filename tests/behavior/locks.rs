//! One call at a time.

use oncely::store::{
    Acquired, BoxFuture, Key, Lease, LeaseRequest, Occupant, RecordState, Store, StoreError, Token,
    Update, Updated,
};
use oncely::testing::{Call, StoreFault};
use oncely::{Coordinator, Error, ErrorKind};
use oncely_tests::{Counter, Stage, for_every_store, ms, secs, soon};
use tokio::time::{Instant, sleep, timeout};

use crate::{abort, counted, lock_on_stage, spawn};

for_every_store! {
    async fn bodies_under_one_lock_run_one_at_a_time(fixture: Fixture) {
        let (inside, ran) = (Counter::default(), Counter::default());
        let (here, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        let calls = (0..20).map(|number| {
            let oncely = if number % 2 == 0 { &here } else { &elsewhere };
            let (inside, ran) = (inside.clone(), ran.clone());
            spawn(oncely.lock("order").wait(secs(60)).run(move |_| async move {
                assert_eq!(inside.up(), 1, "two bodies under one lock");
                tokio::task::yield_now().await;
                sleep(ms(1)).await;
                inside.down();
                ran.up();
                Ok::<_, Error>(())
            }))
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
        assert_eq!(ran.count(), 20);
    }

    async fn different_locks_do_not_exclude_each_other(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let one = lock_on_stage(oncely.lock("1"), &stage).await;
        let other = lock_on_stage(oncely.lock("2").wait(secs(0)), &stage).await;
        stage.open();
        stage.open();
        assert_eq!((one.await.unwrap().unwrap(), other.await.unwrap().unwrap()), (1, 1));
    }

    async fn a_lock_that_stays_busy_says_so_with_the_time_waited(fixture: Fixture) {
        let (oncely, stage, ran) = (fixture.coordinator(), Stage::default(), Counter::default());
        let holder = lock_on_stage(oncely.lock("order"), &stage).await;
        let elsewhere = fixture.elsewhere();
        for (wait, oncely) in [(ms(0), &oncely), (ms(200), &oncely), (ms(200), &elsewhere)] {
            let began = Instant::now();
            let refused = oncely.lock("order").wait(wait).run(|_| async {
                ran.up();
                Ok::<_, Error>(())
            });
            let refused = refused.await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::LockBusy);
            assert_eq!(refused.key(), Some("order"));
            assert!(refused.is_retryable());
            let waited = refused.waited().unwrap();
            assert!(waited >= wait && waited <= began.elapsed());
            assert!(began.elapsed() < wait + secs(3));
            assert!(refused.retry_after().unwrap() > ms(0));
        }
        assert_eq!(ran.count(), 0);
        stage.open();
        holder.await.unwrap().unwrap();
    }

    async fn nothing_of_a_waiter_stays_in_the_store(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let holder = lock_on_stage(oncely.lock("order"), &stage).await;
        for wait in [0, 1, 30] {
            oncely.lock("order").wait(ms(wait)).acquire().await.unwrap_err();
        }
        let waiter = spawn(oncely.lock("order").acquire());
        crate::lined_up().await;
        abort(waiter).await;
        stage.open();
        holder.await.unwrap().unwrap();
        let next = fixture.elsewhere().lock("order").wait(ms(0));
        let attempt = next.run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(attempt.await.unwrap(), 1);
    }

    async fn a_grant_in_the_instant_the_waiter_gives_up_is_not_lost(fixture: Fixture) {
        let oncely = fixture.coordinator();
        for round in 0..20 {
            let key = round.to_string();
            let guard = oncely.lock(&key).acquire().await.unwrap();
            let waiter = spawn(oncely.lock(&key).acquire());
            soon(fixture.store().called(Call::Acquire, 1)).await;
            let release = spawn(guard.release());
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            waiter.abort();
            drop(waiter.await);
            release.await.unwrap().unwrap();
            let next = oncely.lock(&key).wait(secs(10)).acquire().await.unwrap();
            next.release().await.unwrap();
        }
    }

    async fn waiters_of_one_process_are_served_in_their_order(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let guard = oncely.lock("order").acquire().await.unwrap();
        let served = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut waiters = Vec::new();
        for number in 0..6 {
            let served = std::sync::Arc::clone(&served);
            waiters.push(spawn(oncely.lock("order").wait(secs(60)).run(move |_| async move {
                served.lock().unwrap().push(number);
                Ok::<_, Error>(())
            })));
            sleep(ms(20)).await;
        }
        guard.release().await.unwrap();
        for waiter in waiters {
            waiter.await.unwrap().unwrap();
        }
        assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    }

    async fn tokens_rise_over_releases_errors_panics_and_drops(fixture: Fixture) {
        let (oncely, mut last) = (fixture.coordinator(), 0);
        for round in 0..8 {
            let (tell, token) = tokio::sync::oneshot::channel();
            let call = spawn(oncely.lock("order").run(move |call| async move {
                tell.send(call.fencing_token()).unwrap();
                match round % 4 {
                    0 => Ok(()),
                    1 => oncely::Coordinator::connect("nowhere:").await.map(drop),
                    2 => panic!("on purpose"),
                    _ => std::future::pending().await,
                }
            }));
            let token = token.await.unwrap();
            assert!(token > last, "{token} after {last}");
            last = token;
            call.abort();
            drop(call.await);
        }
    }

    async fn a_lock_is_free_as_soon_as_its_call_returns(fixture: Fixture) {
        let oncely = fixture.coordinator();
        for _ in 0..5 {
            let call = oncely.lock("order").wait(ms(0));
            call.run(|_| async { Ok::<_, Error>(()) }).await.unwrap();
        }
        for _ in 0..2 {
            let call = oncely.lock("order").wait(ms(0));
            let failed = call.run(|_| async { oncely::Coordinator::connect("nowhere:").await });
            assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::InvalidConfiguration);
        }
    }

    async fn a_lock_whose_body_was_dropped_does_not_wait_for_the_lease(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        abort(lock_on_stage(oncely.lock("order"), &stage).await).await;
        let next = timeout(secs(9), oncely.lock("order").wait(secs(20)).acquire());
        next.await.unwrap().unwrap().release().await.unwrap();
    }

    async fn a_lock_whose_holder_is_silent_is_taken_after_its_lease(fixture: Fixture) {
        let stage = Stage::default();
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        fixture.store().always(Call::Interrupt, StoreFault::FailBefore);
        let lock = fixture.coordinator().lock("order").lease(ms(1_500));
        abort(lock_on_stage(lock, &stage).await).await;
        let elsewhere = fixture.elsewhere();
        let early = elsewhere.lock("order").wait(ms(0)).acquire().await.unwrap_err();
        assert_eq!(early.kind(), ErrorKind::LockBusy);
        let next = elsewhere.lock("order").wait(secs(20));
        let attempt = next.run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(attempt.await.unwrap(), 2);
    }

    async fn several_locks_are_taken_all_or_none(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let busy = oncely.lock("b").acquire().await.unwrap();
        let refused = oncely.lock_all(["a", "b", "c"]).wait(ms(50)).acquire().await.unwrap_err();
        assert_eq!((refused.kind(), refused.key()), (ErrorKind::LockBusy, Some("b")));
        let waiter = spawn(oncely.lock_all(["a", "b", "c"]).acquire());
        crate::lined_up().await;
        for free in ["a", "c"] {
            let free = oncely.lock(free).wait(ms(0)).acquire().await.unwrap();
            free.release().await.unwrap();
        }
        busy.release().await.unwrap();
        let all = waiter.await.unwrap().unwrap();
        for taken in ["a", "b", "c"] {
            oncely.lock(taken).wait(ms(0)).acquire().await.unwrap_err();
        }
        all.release().await.unwrap();
        for free in ["a", "b", "c"] {
            oncely.lock(free).wait(ms(0)).acquire().await.unwrap().release().await.unwrap();
        }
    }

    async fn several_locks_in_any_order_do_not_deadlock(fixture: Fixture) {
        let (here, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        let inside = Counter::default();
        let tasks = [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"], ["c", "a", "b"]];
        let tasks: Vec<_> = (tasks.into_iter().enumerate())
            .map(|(number, keys)| {
                let oncely = if number % 2 == 0 { here.clone() } else { elsewhere.clone() };
                let inside = inside.clone();
                spawn(async move {
                    for _ in 0..5 {
                        let inside = inside.clone();
                        let lock = oncely.lock_all(keys).wait(secs(60));
                        lock.run(|_| async move {
                            assert_eq!(inside.up(), 1);
                            tokio::task::yield_now().await;
                            inside.down();
                            Ok::<_, Error>(())
                        })
                        .await
                        .unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            timeout(secs(60), task).await.expect("no deadlock").unwrap();
        }
    }

    async fn equal_keys_count_once(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let all = oncely.lock_all(["a", "b", "a", "a"]).wait(ms(0)).acquire().await.unwrap();
        all.release().await.unwrap();
        oncely.lock("a").wait(ms(0)).acquire().await.unwrap().release().await.unwrap();
    }

    async fn no_key_is_no_lock(fixture: Fixture) {
        let none = fixture.coordinator().lock_all(Vec::<String>::new());
        assert_eq!(none.acquire().await.unwrap_err().kind(), ErrorKind::InvalidConfiguration);
    }
}

/// A store that keeps one lease back.
#[derive(Debug)]
struct Short;

impl Store for Short {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        let lease = |request: &LeaseRequest| Lease::new(request.key.clone(), Token::new(1), 1);
        let leases = requests[1..].iter().map(lease).collect();
        Box::pin(async { Ok(Acquired::Leases(leases)) })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async { Ok(vec![Updated::Applied; updates.len()]) })
    }
}

#[tokio::test]
async fn a_body_does_not_run_under_fewer_leases_than_keys() {
    let (oncely, ran) = (Coordinator::new(Short), Counter::default());
    let call = oncely.lock_all(["one", "other"]).run(counted(&ran));
    assert_eq!(call.await.unwrap_err().kind(), ErrorKind::Unreadable);
    assert_eq!(ran.count(), 0);
}

/// A store that names a key which nobody asked for.
#[derive(Debug)]
struct Beside;

impl Store for Beside {
    fn acquire<'a>(
        &'a self,
        _requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        let state = RecordState::InProgress { remaining: secs(60) };
        let key = Key::lock("oncely", "another").unwrap();
        let occupant = Occupant::new(key, Token::new(1), None, state);
        Box::pin(async { Ok(Acquired::Occupied(occupant)) })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async { Ok(vec![Updated::Lost; updates.len()]) })
    }
}

#[tokio::test]
async fn a_store_that_names_a_key_nobody_asked_for_is_not_waited_for() {
    let (oncely, ran, began) = (Coordinator::new(Beside), Counter::default(), Instant::now());
    let guard = oncely.lock("order").acquire().await.unwrap_err();
    let locks = oncely.lock_all(["one", "other"]).run(counted(&ran)).await.unwrap_err();
    let call = crate::pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
    for refused in [guard, locks, call] {
        assert_eq!(refused.kind(), ErrorKind::Unreadable);
    }
    assert!(began.elapsed() < secs(5));
    assert_eq!(ran.count(), 0);
}
