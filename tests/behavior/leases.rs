//! Leases that are kept, and leases that are lost.

use oncely::store::{Key, Lease, Token, Update};
use oncely::testing::{Call, StoreFault};
use oncely::{Error, ErrorKind, Outcome};
use oncely_tests::events::Events;
use oncely_tests::{Counter, Stage, for_every_store, ms, secs, soon};
use tokio::time::{Instant, sleep, timeout};

use crate::{counted, lock_on_stage, on_stage, pay, spawn};

for_every_store! {
    async fn renewal_keeps_a_long_body_alive(fixture: Fixture) {
        let (oncely, lease) = (fixture.coordinator(), fixture.steady_lease());
        let long = pay(&oncely, "42").lease(lease).run(move |call| async move {
            sleep(lease * 5 / 2).await;
            assert!(call.remaining() > lease / 10);
            Ok::<_, Error>(call.attempt())
        });
        let long = spawn(long);
        sleep(lease * 3 / 2).await;
        let duplicate = pay(&fixture.elsewhere(), "42").wait(secs(0));
        let duplicate = duplicate.run(counted(&Counter::default())).await.unwrap_err();
        assert_eq!(duplicate.kind(), ErrorKind::InProgress);
        assert_eq!(long.await.unwrap().unwrap(), Outcome::Executed(1));
        assert!(fixture.store().count(Call::Renew) >= 2);
    }

    async fn an_idle_coordinator_asks_its_store_nothing(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        pay(&oncely, "42").lease(ms(30)).run(counted(&ran)).await.unwrap();
        let before = fixture.store().round_trips();
        sleep(ms(300)).await;
        assert_eq!(fixture.store().round_trips(), before);
    }

    async fn one_failed_renewal_is_not_a_loss(fixture: Fixture) {
        let (oncely, lease) = (fixture.coordinator(), fixture.steady_lease());
        fixture.store().once(Call::Renew, StoreFault::FailBefore);
        fixture.store().once(Call::Renew, StoreFault::FailAfter);
        let long = pay(&oncely, "42").lease(lease).run(|_| async move {
            sleep(lease * 3 / 2).await;
            Ok::<_, Error>(1)
        });
        assert_eq!(long.await.unwrap().into_value(), 1);
        assert!(fixture.store().count(Call::Renew) >= 3);
    }

    async fn a_body_is_dropped_at_its_next_await_once_its_record_is_gone(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let (events, body_stage) = (Events::listen(), stage.clone());
        let store = fixture.open_elsewhere();
        let (lease, ran_on) = (fixture.steady_lease(), Counter::default());
        let ran_on_too = ran_on.clone();
        let lock = oncely.lock("42").lease(lease);
        let lost = lock.run(|call| async move {
            // Somebody deletes the lock.
            let key = Key::lock("oncely", call.key())?;
            let held = Lease::new(key, Token::new(call.fencing_token()), 1);
            store.update(&[(held, Update::Release)]).await.unwrap();
            body_stage.enter().await;
            ran_on_too.up();
            Ok::<_, Error>(())
        });
        let lost = timeout(lease, lost).await.expect("dropped by the first renewal").unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::LeaseLost);
        assert_eq!(lost.key(), Some("42"));
        assert!(lost.is_retryable());
        assert_eq!((ran_on.count(), stage.left()), (0, 1));
        assert_eq!(events.count("lease lost"), 1);
    }

    async fn a_body_is_dropped_by_the_local_clock_alone_when_the_store_hangs(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let events = Events::listen();
        fixture.store().always(Call::Renew, StoreFault::Hang);
        fixture.store().always(Call::Interrupt, StoreFault::Hang);
        let began = Instant::now();
        let lost = on_stage(pay(&oncely, "42").lease(ms(400)), &stage).await.await.unwrap();
        assert_eq!(lost.unwrap_err().kind(), ErrorKind::LeaseLost);
        assert!(began.elapsed() < secs(4), "within the lease, not within the store's time limit");
        assert_eq!(stage.left(), 1);
        assert_eq!(events.count("lease lost"), 1);
        let next = pay(&fixture.elsewhere(), "42");
        let next = next.run(|call| async move { Ok::<_, Error>(call.attempt()) }).await.unwrap();
        assert_eq!(next, Outcome::Executed(2));
    }

    async fn a_holder_that_completes_late_changes_nothing(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        fixture.store().once(Call::Complete, StoreFault::Delay(secs(2)));
        let stale = pay(&oncely, "42").lease(ms(600));
        let stale = spawn(stale.run(|_| async { Ok::<_, Error>(1_usize) }));
        soon(fixture.store().called(Call::Complete, 1)).await;
        let elsewhere = fixture.elsewhere();
        let successor = pay(&elsewhere, "42").run(|_| async { Ok::<_, Error>(2_usize) });
        assert_eq!(successor.await.unwrap(), Outcome::Executed(2));
        assert_eq!(stale.await.unwrap().unwrap_err().kind(), ErrorKind::LeaseLost);
        let replay = pay(&elsewhere, "42").run(counted(&Counter::default())).await.unwrap();
        assert_eq!((replay.is_replayed(), replay.into_value()), (true, 2));
        assert_eq!(events.count("lease lost"), 1);
    }

    async fn a_holder_that_completes_late_does_not_stop_its_successor(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        fixture.store().once(Call::Complete, StoreFault::Delay(secs(1)));
        let stale = pay(&oncely, "42").lease(ms(600));
        let stale = spawn(stale.run(|_| async { Ok::<_, Error>(1_u32) }));
        soon(fixture.store().called(Call::Complete, 1)).await;
        let elsewhere = fixture.elsewhere();
        let successor = on_stage(pay(&elsewhere, "42"), &stage).await;
        assert_eq!(stale.await.unwrap().unwrap_err().kind(), ErrorKind::LeaseLost);
        let third = pay(&elsewhere, "42").wait(secs(0)).run(counted(&Counter::default())).await;
        assert_eq!(third.unwrap_err().kind(), ErrorKind::InProgress);
        stage.open();
        assert_eq!(successor.await.unwrap().unwrap(), Outcome::Executed(2));
    }

    async fn a_loss_found_at_the_end_is_reported_once(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        let store = fixture.open_elsewhere();
        let lock = oncely.lock_all(["a", "b"]);
        let value = lock.run(|call| async move {
            let key = Key::lock("oncely", "a")?;
            let held = Lease::new(key, Token::new(call.fencing_token()), 1);
            store.update(&[(held, Update::Release)]).await.unwrap();
            // A release of the holder's own is answered as such: somebody must have been here.
            let request = oncely::store::LeaseRequest::new(Key::lock("oncely", "a")?, secs(30));
            store.acquire(&[request]).await.unwrap();
            Ok::<_, Error>(7)
        });
        assert_eq!(value.await.unwrap(), 7, "the body is done, and its value stands");
        assert_eq!(events.count("lease lost"), 1);
    }

    async fn a_late_completion_that_met_nobody_counts(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        fixture.store().once(Call::Complete, StoreFault::Delay(ms(600)));
        let late = pay(&oncely, "42").lease(ms(200)).run(counted(&ran)).await.unwrap();
        assert_eq!(late, Outcome::Executed(1));
        let replay = pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        assert_eq!((replay.is_replayed(), ran.count()), (true, 1));
    }

    async fn a_completion_that_overtakes_a_renewal_is_no_loss(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        fixture.store().always(Call::Renew, StoreFault::Delay(ms(300)));
        let lease = fixture.steady_lease();
        let call = pay(&oncely, "42").lease(lease);
        let value = call.run(|_| async {
            soon(fixture.store().called(Call::Renew, 1)).await;
            Ok::<_, Error>(1)
        });
        assert_eq!(value.await.unwrap().into_value(), 1);
        sleep(ms(600)).await;
        assert_eq!(events.count("lease lost"), 0);
    }

    async fn a_body_cannot_hold_its_key_longer_than_its_limit(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let began = Instant::now();
        let call = pay(&oncely, "42").lease(ms(500)).max_hold(ms(1_200));
        let hung = on_stage(call, &stage).await.await.unwrap();
        assert_eq!(hung.unwrap_err().kind(), ErrorKind::LeaseLost);
        let held = began.elapsed();
        assert!(held >= ms(400) && held < secs(6), "{held:?}");
        let next = pay(&fixture.elsewhere(), "42");
        let next = next.run(|call| async move { Ok::<_, Error>(call.attempt()) }).await.unwrap();
        assert_eq!(next, Outcome::Executed(2));
    }

    async fn a_body_that_is_lost_tells_nobody_else_that_its_call_ran(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let (keep, kept) = tokio::sync::oneshot::channel();
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        let call = pay(&oncely, "42").lease(ms(100)).run(|call| async move {
            keep.send(call).unwrap();
            stage.enter().await;
            Ok::<_, Error>(0)
        });
        assert_eq!(call.await.unwrap_err().kind(), ErrorKind::LeaseLost);
        let call = kept.await.unwrap();
        assert_eq!(call.recorded(), Some(false));
        assert_eq!(call.remaining(), ms(0));
    }

    async fn leases_of_many_calls_are_renewed_together(fixture: Fixture) {
        const CALLS: usize = 40;
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let lease = fixture.steady_lease();
        let mut calls = Vec::new();
        for number in 0..CALLS {
            calls.push(lock_on_stage(oncely.lock(number.to_string()).lease(lease), &stage).await);
        }
        sleep(lease * 3 / 2).await;
        let renewals = fixture.store().count(Call::Renew);
        assert!(renewals < 4 * CALLS, "{renewals} renewals");
        for call in calls {
            stage.open();
            assert_eq!(call.await.unwrap().unwrap(), 1);
        }
    }
}
