//! A call and its lock as one plan.

use oncely::store::{Acquired, BoxFuture, Lease, LeaseRequest, Store, StoreError, Update, Updated};
use oncely::testing::{Call, StoreFault};
use std::sync::{Arc, Mutex};

use oncely::{Coordinator, Error, ErrorKind, Idempotent, OnStoreError};
use oncely_tests::{Counter, Stage, for_every_store, ms, secs, soon};
use tokio::time::sleep;

use crate::{abort, counted, on_stage, pay, spawn};

/// A store that notes in which order it is told how calls end.
#[derive(Debug)]
struct InOrder {
    inner: Arc<dyn Store>,
    order: Arc<Mutex<Vec<&'static str>>>,
}

impl Store for InOrder {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        self.inner.acquire(requests)
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        let told = updates.iter().map(|(_, update)| match update {
            Update::Complete { .. } => "complete",
            Update::Release => "release",
            _ => "another",
        });
        self.order.lock().unwrap().extend(told);
        self.inner.update(updates)
    }
}

fn locked(oncely: &Coordinator, key: &str) -> Idempotent {
    pay(oncely, key).with_lock(oncely.lock("order").wait(ms(0)))
}

for_every_store! {
    async fn a_replay_takes_no_lock(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        locked(&oncely, "42").run(counted(&ran)).await.unwrap();
        let _held = fixture.elsewhere().lock("order").acquire().await.unwrap();
        let replay = locked(&oncely, "42").run(counted(&ran)).await.unwrap();
        assert_eq!((replay.is_replayed(), ran.count()), (true, 1));
    }

    async fn claim_and_lock_are_taken_and_given_back_together(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        locked(&oncely, "42").run(counted(&ran)).await.unwrap();
        assert_eq!(fixture.store().round_trips(), 2);
        assert_eq!(fixture.store().count(Call::Complete), 1);
        assert_eq!(fixture.store().count(Call::Release), 1);
    }

    async fn the_wait_for_a_lock_does_not_count_the_wait_for_the_twin(fixture: Fixture) {
        let (oncely, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        let (stage, ran) = (Stage::default(), Counter::default());
        let held = elsewhere.lock("order").acquire().await.unwrap();
        let twin = on_stage(pay(&elsewhere, "42"), &stage).await;
        let call = pay(&oncely, "42").with_lock(oncely.lock("order").wait(ms(500)));
        let call = spawn(call.run(counted(&ran)));
        sleep(ms(700)).await;
        abort(twin).await;
        sleep(ms(200)).await;
        held.release().await.unwrap();
        assert_eq!(soon(call).await.unwrap().unwrap().into_value(), 1);
    }

    async fn a_busy_lock_leaves_no_claim(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let held = oncely.lock("order").acquire().await.unwrap();
        let refused = locked(&oncely, "42").run(counted(&ran)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.key()), (ErrorKind::LockBusy, Some("order")));
        assert_eq!(ran.count(), 0);
        let call = pay(&oncely, "42").wait(ms(0));
        let call = call.run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(call.await.unwrap().into_value(), 1);
        held.release().await.unwrap();
    }

    async fn a_call_that_waits_for_its_lock_keeps_nobody_from_its_key(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let held = oncely.lock("order").acquire().await.unwrap();
        let waiting = pay(&oncely, "42").with_lock(oncely.lock("order").wait(secs(30)));
        let waiting = spawn(waiting.run(counted(&Counter::default())));
        soon(fixture.store().called(Call::Acquire, 2)).await;
        crate::lined_up().await;
        let other = pay(&oncely, "42").wait(ms(0)).run(counted(&ran)).await.unwrap();
        assert_eq!(other.into_value(), 1);
        held.release().await.unwrap();
        assert!(waiting.await.unwrap().unwrap().is_replayed());
    }

    async fn each_wait_has_its_own_limit(fixture: Fixture) {
        let (oncely, stage, ran) = (fixture.coordinator(), Stage::default(), Counter::default());
        let first = on_stage(locked(&oncely, "42"), &stage).await;
        let twin = pay(&oncely, "42").wait(ms(0)).with_lock(oncely.lock("order").wait(secs(60)));
        let twin = twin.run(counted(&ran)).await.unwrap_err();
        assert_eq!((twin.kind(), twin.key()), (ErrorKind::InProgress, Some("42")));
        let other = pay(&oncely, "43").wait(secs(60)).with_lock(oncely.lock("order").wait(ms(0)));
        let other = other.run(counted(&ran)).await.unwrap_err();
        assert_eq!((other.kind(), other.key()), (ErrorKind::LockBusy, Some("order")));
        stage.open();
        first.await.unwrap().unwrap();
        assert_eq!(ran.count(), 0);
    }

    async fn the_lock_is_held_until_the_outcome_is_stored(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().once(Call::Complete, StoreFault::FailBefore);
        fixture.store().once(Call::Complete, StoreFault::Delay(ms(200)));
        let call = spawn(locked(&oncely, "42").run(counted(&ran)));
        soon(fixture.store().called(Call::Complete, 2)).await;
        let elsewhere = fixture.elsewhere();
        let busy = elsewhere.lock("order").wait(ms(0)).acquire().await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::LockBusy);
        // Whoever gets the lock finds the outcome.
        let _held = elsewhere.lock("order").wait(secs(20)).acquire().await.unwrap();
        let replay = pay(&elsewhere, "42").wait(ms(0)).run(counted(&ran)).await.unwrap();
        assert_eq!((replay.is_replayed(), ran.count()), (true, 1));
        call.await.unwrap().unwrap();
    }

    async fn a_store_is_told_the_outcome_before_the_lock_is_given_back(fixture: Fixture) {
        let order = Arc::default();
        let store = InOrder { inner: fixture.open_elsewhere(), order: Arc::clone(&order) };
        let oncely = Coordinator::builder().build(Arc::new(store)).unwrap();
        let locks = oncely.lock_all(["order", "account"]);
        let call = pay(&oncely, "42").with_lock(locks).run(counted(&Counter::default()));
        call.await.unwrap();
        assert_eq!(*order.lock().unwrap(), ["complete", "release", "release"]);
    }

    async fn a_call_that_fails_frees_key_and_lock(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let failed = locked(&oncely, "42");
        let failed = failed.run(|_| async { Coordinator::connect("nowhere:").await.map(|_| 0) });
        assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::InvalidConfiguration);
        let next = locked(&oncely, "42").wait(ms(0)).run(counted(&ran)).await.unwrap();
        assert_eq!(next.into_value(), 1);
    }

    async fn a_call_that_is_dropped_gives_back_key_and_lock(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        abort(on_stage(locked(&oncely, "42"), &stage).await).await;
        let next = pay(&oncely, "42").with_lock(oncely.lock("order"));
        let next = next.run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(next.await.unwrap().into_value(), 2);
    }

    async fn twins_with_one_lock_run_once(fixture: Fixture) {
        let ran = Counter::default();
        let (here, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        let calls = (0..12).map(|number| {
            let oncely = if number % 2 == 0 { &here } else { &elsewhere };
            let call = pay(oncely, "42").wait(secs(60));
            spawn(call.with_lock(oncely.lock("order").wait(secs(60))).run(counted(&ran)))
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap().unwrap().into_value(), 1);
        }
        assert_eq!(ran.count(), 1);
    }

    async fn a_call_with_a_lock_runs_unprotected_only_if_both_agree(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().down();
        for (call, lock) in [
            (OnStoreError::Run, OnStoreError::Refuse),
            (OnStoreError::Refuse, OnStoreError::Run),
            (OnStoreError::Run, OnStoreError::Run),
        ] {
            let both = call == lock;
            let lock = oncely.lock("order").on_store_error(lock);
            let call = pay(&oncely, "42").on_store_error(call).with_lock(lock);
            assert_eq!(call.run(counted(&ran)).await.is_ok(), both);
        }
        assert_eq!(ran.count(), 1);
    }

    async fn a_call_and_its_lock_need_one_coordinator(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let call = pay(&oncely, "42").with_lock(fixture.elsewhere().lock("order"));
        let refused = call.run(counted(&Counter::default())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidConfiguration);
    }
}
