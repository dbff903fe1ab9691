//! Calls that end half-way.

use oncely::testing::{Call, StoreFault};
use oncely::{Error, ErrorKind, OnInterrupted, Outcome};
use oncely_tests::{Counter, Stage, for_every_store, ms, secs, soon};
use tokio::time::{Instant, sleep, timeout};

use crate::{abort, counted, on_stage, pay, spawn};

for_every_store! {
    async fn a_future_dropped_before_its_body_is_polled_leaves_the_key_free(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        drop(pay(&oncely, "42").run(counted(&ran)));
        assert_eq!(fixture.store().round_trips(), 0);

        // Dropped while the store answers.
        fixture.store().once(Call::Acquire, StoreFault::Delay(ms(50)));
        let call = spawn(pay(&oncely, "42").on_interrupted(OnInterrupted::Hold).run(counted(&ran)));
        soon(fixture.store().called(Call::Acquire, 1)).await;
        abort(call).await;
        soon(fixture.store().called(Call::Release, 1)).await;
        let next = pay(&oncely, "42").run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(next.await.unwrap(), Outcome::Executed(1));
        assert_eq!(ran.count(), 0);
    }

    async fn a_future_dropped_mid_body_is_followed_without_waiting_for_the_lease(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let body_stage = stage.clone();
        let (tell, token) = tokio::sync::oneshot::channel();
        let first = spawn(pay(&oncely, "42").run(move |call| async move {
            tell.send(call.fencing_token()).unwrap();
            body_stage.enter().await;
            Ok::<_, Error>(0)
        }));
        soon(stage.entered()).await;
        let began = Instant::now();
        abort(first).await;
        let next = pay(&oncely, "42");
        let next = next.run(|call| async move {
            assert_eq!(call.attempt(), 2);
            Ok::<_, Error>(call.fencing_token())
        });
        let next = next.await.unwrap();
        assert!(!next.is_replayed());
        assert!(*next.value() > token.await.unwrap());
        assert!(began.elapsed() < secs(9), "the lease lasts 30 s");
    }

    async fn a_call_dropped_mid_body_that_is_held_back_is_interrupted(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let call = pay(&oncely, "42").on_interrupted(OnInterrupted::Hold);
        abort(on_stage(call, &stage).await).await;
        soon(fixture.store().called(Call::Interrupt, 1)).await;
        let ran = Counter::default();
        for oncely in [&oncely, &fixture.elsewhere()] {
            let refused = pay(oncely, "42").run(counted(&ran)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Interrupted);
            assert_eq!(refused.key(), Some("42"));
            assert!(!refused.is_retryable());
        }
        assert_eq!(ran.count(), 0);
    }

    async fn a_body_that_panics_is_run_again_and_the_panic_goes_on(fixture: Fixture) {
        let oncely = fixture.coordinator();
        for attempt in 1..=3 {
            let call = pay(&oncely, "42").run(move |call| async move {
                assert_eq!(call.attempt(), attempt);
                if attempt > 0 {
                    std::panic::panic_any("the body's own words");
                }
                Ok::<_, Error>(0)
            });
            let panic = spawn(call).await.unwrap_err().into_panic();
            assert_eq!(*panic.downcast::<&str>().unwrap(), "the body's own words");
        }
        let began = Instant::now();
        let next = pay(&oncely, "42").run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(next.await.unwrap(), Outcome::Executed(4));
        assert!(began.elapsed() < secs(9), "the lease lasts 30 s");
    }

    async fn a_panic_while_the_body_is_made_is_a_panic_of_the_body(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let call = pay(&oncely, "42").on_interrupted(OnInterrupted::Hold);
        let call = call.run(|call| {
            assert_eq!(call.attempt(), 0, "not yet a future");
            async { Ok::<_, Error>(0) }
        });
        assert!(spawn(call).await.unwrap_err().is_panic());
        let refused = pay(&oncely, "42").run(counted(&Counter::default())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Interrupted);
    }

    async fn a_silent_holder_is_followed_after_its_lease_with_a_higher_token(fixture: Fixture) {
        let stage = Stage::default();
        // As if the process were gone: nobody tells the store anything.
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        fixture.store().always(Call::Interrupt, StoreFault::FailBefore);
        let oncely = fixture.coordinator();
        abort(on_stage(pay(&oncely, "42").lease(ms(1_500)), &stage).await).await;
        let elsewhere = fixture.elsewhere();
        let early = pay(&elsewhere, "42").wait(secs(0)).run(counted(&Counter::default())).await;
        assert_eq!(early.unwrap_err().kind(), ErrorKind::InProgress);
        let next = pay(&elsewhere, "42").wait(secs(20));
        let next = next.run(|call| async move {
            Ok::<_, Error>((call.attempt(), call.fencing_token()))
        });
        let (attempt, token) = next.await.unwrap().into_value();
        assert_eq!(attempt, 2);
        assert!(token > 1);
    }

    async fn a_silent_holder_that_is_held_back_is_interrupted_after_its_lease(fixture: Fixture) {
        let stage = Stage::default();
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        fixture.store().always(Call::Interrupt, StoreFault::FailBefore);
        let call = pay(&fixture.coordinator(), "42").on_interrupted(OnInterrupted::Hold);
        abort(on_stage(call.lease(ms(200)), &stage).await).await;
        let (elsewhere, ran) = (fixture.elsewhere(), Counter::default());
        let refused = pay(&elsewhere, "42").wait(secs(20)).run(counted(&ran)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Interrupted);
        assert_eq!(ran.count(), 0);
    }

    async fn a_future_dropped_while_its_outcome_is_stored_is_recorded(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().once(Call::Complete, StoreFault::Delay(ms(100)));
        let call = spawn(pay(&oncely, "42").run(counted(&ran)));
        soon(fixture.store().called(Call::Complete, 1)).await;
        abort(call).await;
        let next = pay(&fixture.elsewhere(), "42").run(counted(&ran)).await.unwrap();
        assert_eq!((next.is_replayed(), next.into_value()), (true, 1));
        assert_eq!(fixture.store().count(Call::Interrupt), 0);
    }

    async fn a_future_dropped_while_its_outcome_is_tried_again_is_recorded(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        for _ in 0..3 {
            fixture.store().once(Call::Complete, StoreFault::FailBefore);
        }
        let call = spawn(pay(&oncely, "42").run(counted(&ran)));
        soon(fixture.store().called(Call::Complete, 2)).await;
        abort(call).await;
        let next = pay(&fixture.elsewhere(), "42").run(counted(&ran)).await.unwrap();
        assert_eq!((next.is_replayed(), ran.count()), (true, 1));
    }

    async fn an_interruption_is_told_again_until_the_store_hears_it(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        fixture.store().once(Call::Interrupt, StoreFault::FailBefore);
        fixture.store().once(Call::Interrupt, StoreFault::FailAfter);
        abort(on_stage(pay(&oncely, "42"), &stage).await).await;
        let next = pay(&oncely, "42").run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(timeout(secs(9), next).await.unwrap().unwrap().into_value(), 2);
    }

    async fn a_detached_call_finishes_after_its_caller_is_dropped(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let (body_stage, call) = (stage.clone(), pay(&oncely, "42"));
        let caller = spawn(call.run_detached(move |call| async move {
            assert_eq!(oncely::current().unwrap().key(), "42");
            body_stage.enter().await;
            Ok::<_, Error>(call.attempt())
        }));
        soon(stage.entered()).await;
        abort(caller).await;
        let ran = Counter::default();
        let duplicate = pay(&oncely, "42").wait(secs(0)).run(counted(&ran)).await;
        assert_eq!(duplicate.unwrap_err().kind(), ErrorKind::InProgress);
        stage.open();
        let replay = pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        assert_eq!((replay.is_replayed(), replay.into_value()), (true, 1));
        assert_eq!(ran.count(), 0);
    }

    async fn a_detached_call_that_panics_does_so_in_its_caller(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let call = pay(&oncely, "42").run_detached(|call| async move {
            assert_eq!(call.attempt(), 0, "the body's own words");
            Ok::<_, Error>(0)
        });
        let panic = spawn(call).await.unwrap_err().into_panic();
        assert!(panic.downcast::<String>().unwrap().contains("the body's own words"));
        let next = pay(&oncely, "42").run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(next.await.unwrap(), Outcome::Executed(2));
    }

    async fn attempts_are_counted_until_one_comes_to_its_end(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        for _ in 0..2 {
            abort(on_stage(pay(&oncely, "42"), &stage).await).await;
        }
        let failed = pay(&oncely, "42").run(|call| async move {
            assert_eq!(call.attempt(), 3);
            oncely::Coordinator::connect("nowhere:").await.map(drop)
        });
        failed.await.unwrap_err();
        sleep(ms(1)).await;
        let next = pay(&oncely, "42").run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(next.await.unwrap(), Outcome::Executed(1));
    }
}
