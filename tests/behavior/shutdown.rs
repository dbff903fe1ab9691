//! The end of a coordinator.

use oncely::testing::{Call, StoreFault};
use oncely::{Error, ErrorKind, Outcome};
use oncely_tests::{Counter, Stage, for_every_store, ms, secs, soon};
use tokio::time::{Instant, timeout};

use crate::{counted, lock_on_stage, on_stage, pay, spawn};

for_every_store! {
    async fn an_idle_coordinator_shuts_down_at_once(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        let began = Instant::now();
        let shutdown = oncely.shutdown(secs(60)).await;
        assert!(shutdown.stopped.is_empty() && shutdown.unreleased.is_empty());
        assert!(began.elapsed() < secs(5));
    }

    async fn a_shutdown_waits_for_what_runs(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let call = on_stage(pay(&oncely, "42"), &stage).await;
        let shutdown = spawn({
            let oncely = oncely.clone();
            async move { oncely.shutdown(secs(60)).await }
        });
        tokio::time::sleep(ms(50)).await;
        assert!(!shutdown.is_finished());
        stage.open();
        let shutdown = timeout(secs(10), shutdown).await.unwrap().unwrap();
        assert!(shutdown.stopped.is_empty() && shutdown.unreleased.is_empty());
        assert_eq!(call.await.unwrap().unwrap(), Outcome::Executed(1));
    }

    async fn a_shutdown_stops_the_rest_names_it_and_gives_it_back(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let call = on_stage(pay(&oncely, "42"), &stage).await;
        let lock = lock_on_stage(oncely.lock("order"), &stage).await;
        let guard = oncely.lock("guard").acquire().await.unwrap();
        let mut stopped = oncely.shutdown(ms(50)).await.stopped;
        stopped.sort();
        assert_eq!(stopped, ["42", "guard", "order"]);
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::LeaseLost);
        assert_eq!(lock.await.unwrap().unwrap_err().kind(), ErrorKind::LeaseLost);
        guard.lost().await;
        assert_eq!(stage.left(), 2);

        // At once, not after the lease.
        let elsewhere = fixture.elsewhere();
        let next = pay(&elsewhere, "42").wait(ms(0));
        let next = next.run(|call| async move { Ok::<_, Error>(call.attempt()) }).await.unwrap();
        assert_eq!(next, Outcome::Executed(2));
        let locks = elsewhere.lock_all(["order", "guard"]).wait(ms(0)).acquire().await.unwrap();
        locks.release().await.unwrap();
    }

    async fn a_coordinator_that_shuts_down_starts_nothing_new(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        oncely.clone().shutdown(secs(1)).await;
        let call = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
        let detached = pay(&oncely, "42").run_detached(counted(&ran)).await.unwrap_err();
        let lock = oncely.lock("42").acquire().await.unwrap_err();
        for refused in [call, detached, lock] {
            assert_eq!(refused.kind(), ErrorKind::ShuttingDown);
            assert!(refused.is_retryable(), "elsewhere, or after the restart");
        }
        assert_eq!(ran.count(), 0);
        assert!(!pay(&fixture.elsewhere(), "42").run(counted(&ran)).await.unwrap().is_replayed());
    }

    async fn those_who_wait_are_told(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let call = on_stage(pay(&oncely, "42"), &stage).await;
        let waiter = spawn(pay(&oncely, "42").wait(secs(600)).run(counted(&Counter::default())));
        crate::lined_up().await;
        let _stopped = oncely.shutdown(ms(20)).await;
        let told = timeout(secs(10), waiter).await.unwrap().unwrap().unwrap_err();
        assert_eq!(told.kind(), ErrorKind::ShuttingDown);
        call.await.unwrap().unwrap_err();
    }

    async fn a_shutdown_waits_for_detached_calls(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let body_stage = stage.clone();
        let caller = spawn(pay(&oncely, "42").run_detached(move |_| async move {
            body_stage.enter().await;
            Ok::<_, Error>(1_usize)
        }));
        soon(stage.entered()).await;
        crate::abort(caller).await;
        stage.open();
        assert!(oncely.shutdown(secs(30)).await.stopped.is_empty());
        let replay = pay(&fixture.elsewhere(), "42").run(counted(&Counter::default())).await;
        assert!(replay.unwrap().is_replayed());
    }

    async fn a_shutdown_waits_for_releases_that_a_drop_began(fixture: Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().once(Call::Release, StoreFault::Delay(ms(100)));
        drop(oncely.lock("order").acquire().await.unwrap());
        assert!(oncely.shutdown(secs(30)).await.stopped.is_empty());
        let next = fixture.elsewhere().lock("order").wait(ms(0)).acquire().await.unwrap();
        next.release().await.unwrap();
    }

    async fn a_shutdown_does_not_interrupt_a_call_whose_outcome_is_being_stored(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().once(Call::Complete, StoreFault::Delay(ms(300)));
        let call = spawn(pay(&oncely, "42").run(counted(&ran)));
        soon(fixture.store().called(Call::Complete, 1)).await;
        let shutdown = oncely.shutdown(ms(20)).await;
        assert!(shutdown.stopped.is_empty(), "its body has come to its end");
        assert_eq!(call.await.unwrap().unwrap(), Outcome::Executed(1));
        let replay = pay(&fixture.elsewhere(), "42").run(counted(&ran)).await.unwrap();
        assert_eq!((replay.is_replayed(), ran.count()), (true, 1));
    }

    async fn a_grant_that_comes_after_the_shutdown_began_is_given_back(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().once(Call::Acquire, StoreFault::Delay(ms(300)));
        let call = spawn(pay(&oncely, "42").run(counted(&ran)));
        soon(fixture.store().called(Call::Acquire, 1)).await;
        assert!(oncely.shutdown(ms(20)).await.stopped.is_empty());
        // At once: who shuts down waits for what is under way.
        let next = pay(&fixture.elsewhere(), "42").wait(ms(0));
        let next = next.run(|call| async move { Ok::<_, Error>(call.attempt()) }).await;
        assert_eq!(next.unwrap(), Outcome::Executed(1));
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::ShuttingDown);
        assert_eq!(ran.count(), 0);
    }

    async fn a_shutdown_with_nothing_to_give_back_asks_the_store_nothing(fixture: Fixture) {
        let oncely = fixture.coordinator();
        oncely.shutdown(secs(1)).await;
        assert_eq!(fixture.store().round_trips(), 0);
    }

    async fn keys_that_cannot_be_given_back_are_named(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let call = on_stage(pay(&oncely, "42").lease(secs(1)), &stage).await;
        fixture.store().down();
        let shutdown = oncely.shutdown(ms(20)).await;
        assert_eq!(shutdown.stopped, ["42"]);
        assert_eq!(shutdown.unreleased, ["42"]);
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::LeaseLost);
    }

    async fn a_store_that_hangs_does_not_hang_the_shutdown(fixture: Fixture) {
        let builder = oncely::Coordinator::builder().store_timeout(ms(200));
        let (oncely, stage) = (fixture.build(builder), Stage::default());
        let call = on_stage(pay(&oncely, "42"), &stage).await;
        fixture.store().always(Call::Interrupt, StoreFault::Hang);
        let shutdown = timeout(secs(10), oncely.shutdown(ms(20))).await.unwrap();
        assert_eq!(shutdown.unreleased, ["42"]);
        call.await.unwrap().unwrap_err();
    }

    async fn a_lock_on_its_way_to_the_next_is_waited_for(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let first = oncely.lock("order").acquire().await.unwrap();
        let waiters = [(); 2].map(|()| {
            let lock = oncely.lock("order").wait(secs(60));
            spawn(async move { drop(lock.acquire().await) })
        });
        crate::lined_up().await;
        first.release().await.unwrap();
        // The next has it now, or is about to.
        let shutdown = soon(oncely.shutdown(secs(5))).await;
        assert!(shutdown.unreleased.is_empty(), "{shutdown:?}");
        let next = fixture.elsewhere().lock("order").wait(ms(0)).acquire().await.unwrap();
        next.release().await.unwrap();
        for waiter in waiters {
            soon(waiter).await.unwrap();
        }
    }
}
