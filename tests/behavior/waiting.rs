//! Duplicates while the first call runs.

use std::sync::Arc;

use oncely::store::memory::MemoryStore;
use oncely::store::{
    Acquired, BoxFuture, Key, Lease, LeaseRequest, Store, StoreError, Update, Updated,
};
use oncely::testing::{Call, FaultyStore};
use oncely::{Coordinator, Error, ErrorKind, Outcome};
use oncely_tests::{Counter, Stage, for_every_store, ms, secs, soon};
use tokio::time::{Instant, timeout};

use crate::{abort, counted, on_stage, pay, spawn};

for_every_store! {
    async fn a_duplicate_while_the_first_runs_waits_and_replays(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(pay(&oncely, "42"), &stage).await;
        let duplicate = pay(&oncely, "42").run(|_| async { Ok::<_, Error>(99) });
        let opened = async {
            crate::lined_up().await;
            stage.open();
        };
        let (duplicate, ()) = tokio::join!(duplicate, opened);
        let duplicate = duplicate.unwrap();
        assert_eq!((duplicate.is_replayed(), duplicate.into_value()), (true, 1));
        assert_eq!(first.await.unwrap().unwrap(), Outcome::Executed(1));
    }

    async fn a_duplicate_in_another_process_waits_and_replays(fixture: Fixture) {
        let stage = Stage::default();
        let first = on_stage(pay(&fixture.coordinator(), "42"), &stage).await;
        let elsewhere = fixture.elsewhere();
        let duplicate = spawn(
            pay(&elsewhere, "42").run(|_| async { Ok::<_, Error>(99) }),
        );
        tokio::time::sleep(ms(50)).await;
        stage.open();
        assert_eq!(first.await.unwrap().unwrap().into_value(), 1);
        let duplicate = duplicate.await.unwrap().unwrap();
        assert_eq!((duplicate.is_replayed(), duplicate.into_value()), (true, 1));
    }

    async fn duplicates_in_one_process_share_one_waiter(fixture: Fixture) {
        const DUPLICATES: usize = 60;
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(pay(&oncely, "42"), &stage).await;
        let ran = Counter::default();
        let duplicates: Vec<_> = (0..DUPLICATES)
            .map(|_| spawn(pay(&oncely, "42").run(counted(&ran))))
            .collect();
        tokio::time::sleep(ms(100)).await;
        stage.open();
        first.await.unwrap().unwrap();
        for duplicate in duplicates {
            assert_eq!(duplicate.await.unwrap().unwrap().into_value(), 1);
        }
        assert_eq!(ran.count(), 0);
        // The call that runs is one of this process: nobody need ask how it goes.
        assert_eq!(fixture.store().round_trips(), 2);
    }

    async fn a_duplicate_that_does_not_wait_is_told_at_once(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(pay(&oncely, "42"), &stage).await;
        let ran = Counter::default();
        let refused = pay(&oncely, "42").wait(secs(0)).run(counted(&ran)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InProgress);
        assert_eq!(refused.key(), Some("42"));
        assert!(refused.is_retryable());
        assert!(refused.waited().unwrap() < secs(2));
        let retry_after = refused.retry_after().unwrap();
        assert!(retry_after > ms(0) && retry_after <= secs(1), "{retry_after:?}");
        assert_eq!(ran.count(), 0);
        stage.open();
        first.await.unwrap().unwrap();
    }

    async fn past_its_wait_a_duplicate_is_told_that_the_call_runs(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(pay(&oncely, "42"), &stage).await;
        let ran = Counter::default();
        let began = Instant::now();
        let refused = pay(&oncely, "42").wait(ms(300)).run(counted(&ran)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InProgress);
        assert!(refused.waited().unwrap() >= ms(300));
        assert!(began.elapsed() >= ms(300) && began.elapsed() < secs(5));
        assert!(refused.retry_after().is_some());
        assert_eq!(ran.count(), 0);
        stage.open();
        first.await.unwrap().unwrap();
    }

    async fn every_duplicate_in_a_line_has_its_own_patience(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(pay(&oncely, "42"), &stage).await;
        let call = |wait| pay(&oncely, "42").wait(wait).run(counted(&Counter::default()));
        let patient = spawn(call(secs(60)));
        let (short, shorter) = tokio::join!(spawn(call(ms(200))), spawn(call(ms(100))));
        for refused in [short, shorter] {
            assert_eq!(refused.unwrap().unwrap_err().kind(), ErrorKind::InProgress);
        }
        stage.open();
        first.await.unwrap().unwrap();
        assert_eq!(patient.await.unwrap().unwrap().into_value(), 1);
    }

    async fn a_duplicate_of_a_call_that_fails_runs_itself(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let body_stage = stage.clone();
        let first = spawn(pay(&oncely, "42").run(move |_| async move {
            body_stage.enter().await;
            Err::<usize, _>(oncely_error().await)
        }));
        soon(stage.entered()).await;
        let ran = Counter::default();
        let duplicates: Vec<_> = (0..3)
            .map(|_| spawn(pay(&oncely, "42").run(counted(&ran))))
            .collect();
        crate::lined_up().await;
        stage.open();
        first.await.unwrap().unwrap_err();
        for duplicate in duplicates {
            assert_eq!(duplicate.await.unwrap().unwrap().into_value(), 1);
        }
        assert_eq!(ran.count(), 1);
    }

    async fn a_duplicate_takes_over_from_a_call_that_is_dropped(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(pay(&oncely, "42"), &stage).await;
        let duplicate = spawn(
            pay(&oncely, "42").run(|call| async move { Ok::<_, Error>(call.attempt()) }),
        );
        crate::lined_up().await;
        abort(first).await;
        // Long before the lease of 30 seconds ends.
        let outcome = timeout(secs(9), duplicate).await.unwrap().unwrap().unwrap();
        assert_eq!(outcome, Outcome::Executed(2));
    }

    async fn a_duplicate_that_is_dropped_makes_room_for_the_next(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(pay(&oncely, "42"), &stage).await;
        let ran = Counter::default();
        let head = spawn(pay(&oncely, "42").run(counted(&ran)));
        crate::lined_up().await;
        let next = spawn(pay(&oncely, "42").run(counted(&ran)));
        crate::lined_up().await;
        abort(head).await;
        stage.open();
        first.await.unwrap().unwrap();
        assert_eq!(timeout(secs(9), next).await.unwrap().unwrap().unwrap().into_value(), 1);
        assert_eq!(ran.count(), 0);
    }

    async fn many_callers_of_many_keys_run_each_body_once(fixture: Fixture) {
        let (here, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        let ran: Vec<_> = (0..10).map(|_| Counter::default()).collect();
        let calls = (0..200).map(|number| {
            let oncely = if number % 2 == 0 { &here } else { &elsewhere };
            let key = number % ran.len();
            spawn(pay(oncely, &key.to_string()).wait(secs(60)).run(counted(&ran[key])))
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap().unwrap().into_value(), 1);
        }
        assert!(ran.iter().all(|ran| ran.count() == 1));
    }
}

/// Some error of the library, as a body gets it from a call of its own.
async fn oncely_error() -> Error {
    let empty = oncely::Coordinator::connect("memory:").await.unwrap().lock("");
    empty.acquire().await.unwrap_err()
}

/// A store whose hint is always there already, as one does that cannot subscribe.
#[derive(Debug)]
struct Hasty(FaultyStore);

impl Store for Hasty {
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

    fn changed<'a>(&'a self, _key: &'a Key) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_hint_that_is_always_there_does_not_make_a_waiter_ask_without_a_pause() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let holder = Coordinator::new(store.clone());
    let waiter = Coordinator::new(Hasty(store.clone()));
    let guard = holder.lock("order").acquire().await.unwrap();
    let before = store.count(Call::Acquire);
    let refused = soon(waiter.lock("order").wait(ms(300)).acquire()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LockBusy);
    // Pauses of 2, 4, 8 … 100 ms, and a look between two of them.
    let asked = store.count(Call::Acquire) - before;
    assert!(asked < 20, "asked {asked} times");
    guard.release().await.unwrap();
}
