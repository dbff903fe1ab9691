//! Stores that are down, slow, or lose their replies.

use std::future::ready;

use oncely::testing::{Call, StoreFault};
use oncely::{Coordinator, Error, ErrorKind, OnStoreError, Outcome};
use oncely_tests::events::Events;
use oncely_tests::{Counter, Stage, for_every_store, ms, secs, soon};
use tokio::time::{Instant, sleep, timeout};

use crate::{counted, on_stage, pay, spawn};

for_every_store! {
    async fn a_store_down_at_the_start_refuses_and_is_never_taken_for_busy(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().down();
        let call = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
        let lock = oncely.lock("42").run(counted(&ran)).await.unwrap_err();
        let guard = oncely.lock("42").acquire().await.unwrap_err();
        for refused in [call, lock, guard] {
            assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
            assert_eq!(refused.key(), Some("42"));
            assert!(refused.is_retryable());
        }
        assert_eq!(ran.count(), 0);
        fixture.store().heal();
        assert_eq!(pay(&oncely, "42").run(counted(&ran)).await.unwrap().into_value(), 1);
    }

    async fn a_store_that_hangs_refuses_within_its_time_limit(fixture: Fixture) {
        let oncely = fixture.build(Coordinator::builder().store_timeout(ms(300)));
        fixture.store().always(Call::Acquire, StoreFault::Hang);
        let (ran, began) = (Counter::default(), Instant::now());
        let refused = pay(&oncely, "42").wait(secs(60)).run(counted(&ran)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
        let refused = oncely.lock("42").wait(secs(60)).run(counted(&ran)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
        assert!(began.elapsed() < secs(5));
        assert_eq!(ran.count(), 0);
    }

    async fn a_store_that_goes_down_under_a_waiter_is_not_taken_for_busy(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let _held = fixture.elsewhere().lock("42").acquire().await.unwrap();
        let waiter = oncely.lock("42").wait(secs(60)).acquire();
        let outage = async {
            soon(fixture.store().called(Call::Acquire, 2)).await;
            fixture.store().down();
        };
        let (refused, ()) = tokio::join!(waiter, outage);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::StoreUnavailable);
    }

    async fn a_grant_that_outlasts_its_lease_refuses_and_is_given_back(fixture: Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().once(Call::Acquire, StoreFault::Delay(ms(300)));
        let ran = Counter::default();
        let refused = pay(&oncely, "42").lease(ms(200)).run(counted(&ran)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
        soon(fixture.store().called(Call::Release, 1)).await;
        assert_eq!(ran.count(), 0);
        let next = pay(&fixture.elsewhere(), "42");
        let next = next.run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(next.await.unwrap().into_value(), 1);
    }

    async fn a_grant_that_comes_too_late_is_given_back(fixture: Fixture) {
        let oncely = fixture.build(Coordinator::builder().store_timeout(ms(300)));
        fixture.store().once(Call::Acquire, StoreFault::Delay(ms(500)));
        let ran = Counter::default();
        let refused = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
        soon(fixture.store().called(Call::Release, 1)).await;
        let next = pay(&fixture.elsewhere(), "42");
        let next = next.run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(next.await.unwrap(), Outcome::Executed(1));
        assert_eq!(ran.count(), 0);
    }

    async fn a_call_that_runs_without_the_store_says_so(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        fixture.store().down();
        let call = pay(&oncely, "42").on_store_error(OnStoreError::Run);
        let call = call.run(|call| async move {
            assert_eq!(oncely::current().unwrap().key(), "42");
            assert_eq!(call.attempt(), 1);
            Ok::<_, Error>((call.is_protected(), call.fencing_token(), call.recorded()))
        });
        assert_eq!(call.await.unwrap(), Outcome::Executed((false, 0, Some(false))));
        let lock = oncely.lock("42").on_store_error(OnStoreError::Run);
        let lock = lock.run(|call| async move { Ok::<_, Error>(call.is_protected()) });
        assert!(!lock.await.unwrap());
        assert_eq!(events.count("running unprotected"), 2);
    }

    async fn running_without_the_store_is_no_answer_to_busy(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let _held = oncely.lock("42").acquire().await.unwrap();
        let lock = oncely.lock("42").wait(ms(10)).on_store_error(OnStoreError::Run);
        assert_eq!(lock.run(counted(&ran)).await.unwrap_err().kind(), ErrorKind::LockBusy);
        assert_eq!(ran.count(), 0);
    }

    async fn a_call_that_knows_of_its_twin_does_not_run_without_the_store(fixture: Fixture) {
        let (oncely, stage, ran) = (fixture.coordinator(), Stage::default(), Counter::default());
        let twin = on_stage(pay(&fixture.elsewhere(), "42"), &stage).await;
        let duplicates: Vec<_> = (0..3)
            .map(|_| pay(&oncely, "42").wait(secs(60)).on_store_error(OnStoreError::Run))
            .map(|duplicate| spawn(duplicate.run(counted(&ran))))
            .collect();
        soon(fixture.store().called(Call::Acquire, 1)).await;
        crate::lined_up().await;
        fixture.store().down();
        sleep(ms(200)).await;
        stage.open();
        twin.await.unwrap().unwrap();
        fixture.store().heal();
        for duplicate in duplicates {
            assert!(soon(duplicate).await.unwrap().unwrap().is_replayed());
        }
        assert_eq!(ran.count(), 0);
    }

    async fn a_call_that_waited_in_vain_for_its_twin_and_the_store_is_refused(fixture: Fixture) {
        let (oncely, stage, ran) = (fixture.coordinator(), Stage::default(), Counter::default());
        let twins = [
            on_stage(pay(&oncely, "here"), &stage).await,
            on_stage(pay(&fixture.elsewhere(), "elsewhere"), &stage).await,
        ];
        let duplicate = |key: &str, wait| {
            let call = pay(&oncely, key).wait(wait).on_store_error(OnStoreError::Run);
            spawn(call.run(counted(&ran)))
        };
        let waiting = [duplicate("here", ms(400)), duplicate("elsewhere", ms(400))];
        crate::lined_up().await;
        fixture.store().down();
        let hasty = duplicate("here", ms(0));
        for duplicate in waiting.into_iter().chain([hasty]) {
            let refused = soon(duplicate).await.unwrap().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
            assert_eq!(refused.key().map(str::is_empty), Some(false));
        }
        assert_eq!(ran.count(), 0);
        fixture.store().heal();
        for twin in twins {
            stage.open();
            soon(twin).await.unwrap().unwrap();
        }
    }

    async fn a_lock_that_is_known_to_be_held_is_not_run_without_the_store(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let held = fixture.elsewhere().lock("42").acquire().await.unwrap();
        let lock = oncely.lock("42").wait(secs(60)).on_store_error(OnStoreError::Run);
        let waiter = spawn(lock.run(|call| ready(Ok::<_, Error>(call.is_protected()))));
        let call = pay(&oncely, "7").with_lock(oncely.lock("42").wait(ms(300)));
        let call = spawn(call.on_store_error(OnStoreError::Run).run(counted(&ran)));
        soon(fixture.store().called(Call::Acquire, 2)).await;
        crate::lined_up().await;
        fixture.store().down();
        let refused = soon(call).await.unwrap().unwrap_err();
        assert_eq!((refused.kind(), ran.count()), (ErrorKind::StoreUnavailable, 0));
        assert!(!waiter.is_finished());
        held.release().await.unwrap();
        fixture.store().heal();
        assert!(soon(waiter).await.unwrap().unwrap(), "it holds the lock");
    }

    async fn a_store_that_cannot_be_used_is_no_outage(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().always(Call::Acquire, StoreFault::Unsupported);
        let call = pay(&oncely, "42").on_store_error(OnStoreError::Run);
        let refused = call.run(counted(&ran)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported);
        assert!(!refused.is_retryable());
        assert_eq!(ran.count(), 0);
    }

    async fn a_store_down_at_the_end_does_not_take_the_value_from_the_caller(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        let (keep, kept) = tokio::sync::oneshot::channel();
        let call = pay(&oncely, "42").lease(ms(300)).run(|call| async {
            fixture.store().down();
            keep.send(call).unwrap();
            Ok::<_, Error>("paid".to_owned())
        });
        let value = timeout(secs(20), call).await.unwrap().unwrap();
        assert_eq!(value, Outcome::Executed("paid".to_owned()));
        assert_eq!(kept.await.unwrap().recorded(), Some(false));
        assert_eq!(events.count("outcome not recorded"), 1);
        let tries = fixture.store().count(Call::Complete);
        assert!(tries > 2, "it is tried again while the lease lasts");
    }

    async fn a_store_that_hangs_at_the_end_does_not_take_the_value_either(fixture: Fixture) {
        let oncely = fixture.build(Coordinator::builder().store_timeout(ms(200)));
        fixture.store().always(Call::Complete, StoreFault::Hang);
        fixture.store().always(Call::Renew, StoreFault::Hang);
        let call = pay(&oncely, "42").lease(ms(500)).run(counted(&Counter::default()));
        assert_eq!(timeout(secs(20), call).await.unwrap().unwrap(), Outcome::Executed(1));
    }

    async fn a_store_that_comes_back_is_told_the_outcome(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        for _ in 0..3 {
            fixture.store().once(Call::Complete, StoreFault::FailBefore);
        }
        let (keep, kept) = tokio::sync::oneshot::channel();
        let call = pay(&oncely, "42").run(|call| async {
            keep.send(call).unwrap();
            Ok::<_, Error>(ran.up())
        });
        assert_eq!(call.await.unwrap(), Outcome::Executed(1));
        assert_eq!(kept.await.unwrap().recorded(), Some(true));
        let replay = pay(&fixture.elsewhere(), "42").run(counted(&ran)).await.unwrap();
        assert_eq!((replay.is_replayed(), ran.count()), (true, 1));
    }

    async fn a_completion_that_can_never_succeed_is_not_tried_for_an_hour(fixture: Fixture) {
        let (oncely, began) = (fixture.coordinator(), Instant::now());
        fixture.store().always(Call::Complete, StoreFault::Unsupported);
        let call = pay(&oncely, "42").run(counted(&Counter::default()));
        assert_eq!(timeout(secs(60), call).await.unwrap().unwrap(), Outcome::Executed(1));
        assert!(began.elapsed() < secs(30));
    }

    async fn a_lost_reply_to_an_acquire_runs_the_body_once(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().once(Call::Acquire, StoreFault::FailAfter);
        let call = pay(&oncely, "42").run(|call| {
            ran.up();
            async move { Ok::<_, Error>(call.attempt() as usize) }
        });
        assert_eq!(call.await.unwrap(), Outcome::Executed(1));
        fixture.store().once(Call::Acquire, StoreFault::FailAfter);
        oncely.lock("order").run(counted(&ran)).await.unwrap();
        assert_eq!(ran.count(), 2);
        assert!(pay(&oncely, "42").run(counted(&ran)).await.unwrap().is_replayed());
    }

    async fn a_lost_reply_to_a_completion_stores_the_outcome_once(fixture: Fixture) {
        let (oncely, ran, events) = (fixture.coordinator(), Counter::default(), Events::listen());
        fixture.store().once(Call::Complete, StoreFault::FailAfter);
        let call = pay(&oncely, "42").with_lock(oncely.lock("order")).run(counted(&ran));
        assert_eq!(call.await.unwrap(), Outcome::Executed(1));
        assert!(pay(&oncely, "42").run(counted(&ran)).await.unwrap().is_replayed());
        oncely.lock("order").wait(ms(0)).acquire().await.unwrap().release().await.unwrap();
        assert_eq!((ran.count(), events.count("lease lost")), (1, 0));
    }

    async fn a_completion_that_is_never_answered_is_sent_again(fixture: Fixture) {
        let oncely = fixture.build(Coordinator::builder().store_timeout(ms(500)));
        let ran = Counter::default();
        fixture.store().once(Call::Complete, StoreFault::HangAfter);
        let call = pay(&oncely, "42").run(counted(&ran));
        assert_eq!(call.await.unwrap(), Outcome::Executed(1));
        assert!(pay(&oncely, "42").run(counted(&ran)).await.unwrap().is_replayed());
    }

    async fn a_renewal_between_a_lost_reply_and_its_repetition_is_no_loss(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        let lease = fixture.steady_lease();
        fixture.store().once(Call::Complete, StoreFault::FailAfter);
        fixture.store().once(Call::Complete, StoreFault::Delay(lease / 2));
        let call = pay(&oncely, "42").lease(lease).run(counted(&Counter::default()));
        assert_eq!(call.await.unwrap(), Outcome::Executed(1));
        assert_eq!(events.count("lease lost"), 0);
        assert_eq!(events.count("not recorded"), 0);
    }

    async fn a_key_that_a_release_nobody_heard_of_gave_to_the_next_is_not_lost(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        let guard = oncely.lock("order").acquire().await.unwrap();
        fixture.store().once(Call::Release, StoreFault::FailAfter);
        fixture.store().always(Call::Release, StoreFault::FailBefore);
        let others = fixture.elsewhere();
        let next = async {
            let next = soon(others.lock("order").acquire()).await.unwrap();
            fixture.store().heal();
            next
        };
        let (released, next) = tokio::join!(soon(guard.release()), next);
        released.unwrap();
        assert_eq!(events.count("lease lost"), 0);
        soon(next.release()).await.unwrap();
    }

    async fn a_lock_given_back_beside_an_outcome_nobody_heard_of_is_not_lost(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        fixture.store().once(Call::Complete, StoreFault::FailAfter);
        fixture.store().always(Call::Complete, StoreFault::FailBefore);
        let call = pay(&oncely, "42").with_lock(oncely.lock("order"));
        let others = fixture.elsewhere();
        let next = async {
            soon(fixture.store().called(Call::Complete, 1)).await;
            let next = soon(others.lock("order").acquire()).await.unwrap();
            fixture.store().heal();
            next
        };
        let ran = Counter::default();
        let (ended, next) = tokio::join!(soon(call.run(counted(&ran))), next);
        assert_eq!(ended.unwrap(), Outcome::Executed(1));
        assert_eq!(events.count("lease lost"), 0);
        soon(next.release()).await.unwrap();
    }

    async fn two_unprotected_holders_of_one_lock_do_not_look_like_one_downstream(fixture: Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().down();
        let key = || async {
            let lock = oncely.lock("order").on_store_error(OnStoreError::Run);
            let key = lock.run(|call| async move { Ok::<_, Error>(call.downstream_key("charge")) });
            key.await.unwrap()
        };
        assert_ne!(key().await, key().await);
    }
}
