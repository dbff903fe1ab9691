//! Callers of one process who want the same key: they stand in line, and need the store but once.

use std::sync::Arc;

use oncely::store::memory::MemoryStore;
use oncely::store::{Acquired, BoxFuture, Lease, LeaseRequest, Store, StoreError, Update, Updated};
use oncely::testing::{Call, FaultyStore, StoreFault};
use oncely::{Coordinator, Error, ErrorKind};
use oncely_tests::{Counter, Stage, for_every_store, ms, secs, soon};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::{abort, counted, lined_up, lock_on_stage, on_stage, pay, spawn};

/// Callers of one lock, who note their tokens in the order in which they are served.
fn callers(
    oncely: &Coordinator,
    count: usize,
    tokens: &Arc<Mutex<Vec<u64>>>,
) -> Vec<JoinHandle<Result<(), Error>>> {
    let call = |_| {
        let tokens = Arc::clone(tokens);
        spawn(oncely.lock("order").wait(secs(60)).run(move |call| async move {
            tokens.lock().push(call.fencing_token());
            sleep(ms(1)).await;
            Ok(())
        }))
    };
    (0..count).map(call).collect()
}

for_every_store! {
    async fn a_lock_goes_from_caller_to_caller_without_the_store(fixture: Fixture) {
        let tokens = Arc::default();
        let calls = callers(&fixture.coordinator(), 32, &tokens);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        // One acquire for the first, who may have found nobody waiting; one for those who came
        // meanwhile.
        let acquires = fixture.store().count(Call::Acquire);
        assert!(acquires <= 2, "{acquires} acquires");
        assert_eq!(fixture.store().count(Call::Release), acquires);
        let tokens = tokens.lock();
        assert_eq!(tokens.len(), 32);
        assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    }

    async fn tokens_rise_from_process_to_process_and_within_each(fixture: Fixture) {
        let tokens = Arc::default();
        let (here, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        let calls = (0..4).flat_map(|number| {
            callers(if number % 2 == 0 { &here } else { &elsewhere }, 20, &tokens)
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
        let tokens = tokens.lock();
        assert_eq!(tokens.len(), 80);
        assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    }

    async fn those_who_hand_on_a_lock_do_not_keep_it_from_another_process(fixture: Fixture) {
        let (here, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        let done = Counter::default();
        let busy: Vec<_> = (0..4)
            .map(|_| {
                let (here, done) = (here.clone(), done.clone());
                spawn(async move {
                    while done.count() == 0 {
                        let lock = here.lock("order").wait(secs(60));
                        let body = |_| async { sleep(ms(5)).await; Ok::<_, Error>(()) };
                        lock.run(body).await.unwrap();
                    }
                })
            })
            .collect();
        lined_up().await;
        let lock = elsewhere.lock("order").wait(secs(30));
        lock.acquire().await.unwrap().release().await.unwrap();
        done.up();
        for busy in busy {
            busy.await.unwrap();
        }
    }

    async fn a_guard_that_is_dropped_goes_to_the_next_caller(fixture: Fixture) {
        let oncely = fixture.coordinator();
        // The first found nobody behind it, and so gives the lock back.
        let first = oncely.lock("order").acquire().await.unwrap();
        let waiters: Vec<_> = (0..2)
            .map(|_| spawn(oncely.lock("order").wait(secs(30)).acquire()))
            .collect();
        lined_up().await;
        let mut last = first.fencing_token();
        drop(first);
        for waiter in waiters {
            let guard = waiter.await.unwrap().unwrap();
            assert!(guard.fencing_token() > last);
            last = guard.fencing_token();
            drop(guard);
        }
        assert!(oncely.shutdown(secs(5)).await.stopped.is_empty());
        assert_eq!(fixture.store().count(Call::Acquire), 2);
        let next = fixture.elsewhere().lock("order").wait(ms(0)).acquire().await.unwrap();
        assert!(next.fencing_token() > last);
        next.release().await.unwrap();
    }

    async fn a_holder_that_stops_half_way_hands_nothing_on(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = lock_on_stage(oncely.lock("order"), &stage).await;
        let second = spawn(lock_call(&oncely, &stage));
        let third = spawn(oncely.lock("order").wait(secs(30)).run(|call| async move {
            Ok::<_, Error>(call.attempt())
        }));
        lined_up().await;
        stage.open();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        soon(stage.entered()).await;
        // The second stands in the middle of its body.
        abort(second).await;
        assert_eq!(third.await.unwrap().unwrap(), 2);
    }

    async fn a_lease_of_another_length_is_not_handed_on(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = lock_on_stage(oncely.lock("order"), &stage).await;
        let leases = [secs(20), secs(20), secs(40)];
        let calls: Vec<_> = (leases.into_iter())
            .map(|lease| {
                let lock = oncely.lock("order").lease(lease).wait(secs(60));
                spawn(lock.run(|call| async move { Ok::<_, Error>(call.remaining()) }))
            })
            .collect();
        lined_up().await;
        stage.open();
        first.await.unwrap().unwrap();
        for (call, lease) in calls.into_iter().zip(leases) {
            let remaining = call.await.unwrap().unwrap();
            assert!(remaining <= lease && remaining > lease / 2, "{remaining:?} of {lease:?}");
        }
        // The first, the second, and the fourth asked the store.
        assert_eq!(fixture.store().count(Call::Acquire), 3);
    }

    async fn a_handed_lock_is_renewed(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let lock = || oncely.lock("order").lease(ms(600)).wait(secs(30));
        let first = lock().acquire().await.unwrap();
        let second = spawn(lock().acquire());
        let third = spawn(lock().acquire());
        lined_up().await;
        first.release().await.unwrap();
        let second = second.await.unwrap().unwrap();
        second.release().await.unwrap();
        let third = third.await.unwrap().unwrap();
        assert_eq!(fixture.store().count(Call::Acquire), 2);
        sleep(ms(1_500)).await;
        assert!(!third.remaining().is_zero());
        let busy = fixture.elsewhere().lock("order").wait(ms(0)).acquire().await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::LockBusy);
        third.release().await.unwrap();
    }

    async fn a_caller_that_is_not_polled_any_more_holds_nobody_up_for_ever(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let lock = || oncely.lock("order").lease(ms(800)).wait(secs(60));
        let first = lock().acquire().await.unwrap();
        let mut forgotten = Box::pin(lock().acquire());
        assert!(timeout(ms(50), &mut forgotten).await.is_err());
        let second = spawn(lock().acquire());
        lined_up().await;
        first.release().await.unwrap();
        let second = timeout(secs(10), second).await.unwrap().unwrap().unwrap();
        second.release().await.unwrap();
        drop(forgotten);
        lock().acquire().await.unwrap().release().await.unwrap();
    }

    async fn a_holder_that_lost_its_lease_holds_nobody_up(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let lost = oncely.lock("order").lease(ms(600)).acquire().await.unwrap();
        let waiter = spawn(oncely.lock("order").wait(secs(60)).acquire());
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        // The guard is still a value, and nothing tells its owner to drop it.
        let waiter = timeout(secs(10), waiter).await.unwrap().unwrap().unwrap();
        assert!(lost.remaining().is_zero());
        fixture.store().heal();
        waiter.release().await.unwrap();
        assert_eq!(lost.release().await.unwrap_err().kind(), ErrorKind::LeaseLost);
    }

    async fn another_call_of_the_same_key_need_not_stand_in_line(fixture: Fixture) {
        let (oncely, stage, ran) = (fixture.coordinator(), Stage::default(), Counter::default());
        let first = on_stage(pay(&oncely, "42").fingerprint(&1), &stage).await;
        let twin = spawn(pay(&oncely, "42").fingerprint(&1).run(counted(&ran)));
        lined_up().await;
        let began = Instant::now();
        let reused = pay(&oncely, "42").fingerprint(&2).run(counted(&ran)).await.unwrap_err();
        assert_eq!(reused.kind(), ErrorKind::KeyReused);
        assert!(began.elapsed() < secs(5));
        stage.open();
        first.await.unwrap().unwrap();
        assert!(twin.await.unwrap().unwrap().is_replayed());
        assert_eq!(ran.count(), 0);
    }

    async fn those_behind_a_question_that_hangs_ask_for_themselves(fixture: Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().once(Call::Acquire, StoreFault::Hang);
        let ran = Counter::default();
        let stuck = spawn(pay(&oncely, "42").run(counted(&ran)));
        soon(fixture.store().called(Call::Acquire, 1)).await;
        let others: Vec<_> = (0..3).map(|_| spawn(pay(&oncely, "42").run(counted(&ran)))).collect();
        for other in others {
            assert_eq!(timeout(secs(4), other).await.unwrap().unwrap().unwrap().into_value(), 1);
        }
        assert_eq!(ran.count(), 1);
        abort(stuck).await;
    }

    async fn an_outage_is_told_to_all_in_line_within_the_time_limit(fixture: Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().always(Call::Acquire, StoreFault::Hang);
        let began = Instant::now();
        let ran = Counter::default();
        let calls: Vec<_> = (0..20).map(|_| spawn(pay(&oncely, "42").run(counted(&ran)))).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::StoreUnavailable);
        }
        // The limit of 5 s, for which each asks, and the moment that they leave to the first.
        assert!(began.elapsed() < secs(6), "{:?}", began.elapsed());
        assert_eq!(ran.count(), 0);
    }

    async fn callers_that_are_dropped_at_any_moment_leave_the_line_whole(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let (inside, served) = (Counter::default(), Counter::default());
        let calls: Vec<_> = (0..60)
            .map(|number: u64| {
                let (oncely, inside, served) = (oncely.clone(), inside.clone(), served.clone());
                spawn(async move {
                    let call = oncely.lock("order").wait(secs(60)).run(move |_| async move {
                        assert_eq!(inside.up(), 1, "two bodies under one lock");
                        sleep(ms(1)).await;
                        inside.down();
                        served.up();
                        Ok::<_, Error>(())
                    });
                    if number.is_multiple_of(3) {
                        // Before its turn, or just then; never with the body begun, which counts.
                        drop(timeout(ms(number % 7), oncely.lock("order").acquire()).await);
                    }
                    call.await
                })
            })
            .collect();
        for call in calls {
            timeout(secs(60), call).await.unwrap().unwrap().unwrap();
        }
        assert_eq!(served.count(), 60);
        oncely.lock("order").wait(secs(10)).acquire().await.unwrap().release().await.unwrap();
    }
}

/// A call that gives its attempt from the stage.
fn lock_call(
    oncely: &Coordinator,
    stage: &Stage,
) -> impl Future<Output = Result<u32, Error>> + use<> {
    let stage = stage.clone();
    oncely.lock("order").wait(secs(30)).run(move |call| async move {
        stage.enter().await;
        Ok(call.attempt())
    })
}

#[tokio::test(start_paused = true)]
async fn a_store_without_spare_tokens_is_asked_for_each_holder() {
    let store = FaultyStore::new(Arc::new(Plain(MemoryStore::new())));
    let oncely = Coordinator::new(store.clone());
    let tokens = Arc::default();
    for call in callers(&oncely, 5, &tokens) {
        call.await.unwrap().unwrap();
    }
    assert_eq!(store.count(Call::Acquire), 5);
    let tokens = tokens.lock();
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
}

/// A store that says nothing of its tokens.
#[derive(Debug)]
struct Plain(MemoryStore);

impl Store for Plain {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        self.0.acquire(requests)
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        self.0.update(updates)
    }
}
