//! Requests that were granted although their caller was told that the store cannot be reached.

use oncely::store::{Acquired, Key, LeaseRequest};
use oncely::testing::{Call, StoreFault};
use oncely::{Coordinator, Error, ErrorKind, OnInterrupted, Outcome};
use oncely_tests::{Counter, Fixture, Stage, for_every_store, ms, secs, soon};
use tokio::time::{Instant, sleep};

use crate::{abort, counted, on_stage, pay, spawn};

/// Loses the reply to a request and to its repetition.
fn lose_both_replies(fixture: &Fixture) {
    for _ in 0..2 {
        fixture.store().once(Call::Acquire, StoreFault::FailAfter);
    }
}

async fn attempt(oncely: &Coordinator) -> u32 {
    let call = pay(oncely, "42").run(|call| async move { Ok::<_, Error>(call.attempt()) });
    soon(call).await.unwrap().into_value()
}

for_every_store! {
    async fn a_grant_nobody_heard_of_holds_nothing_back(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        lose_both_replies(&fixture);
        let call = || pay(&oncely, "42").on_interrupted(OnInterrupted::Hold);
        let refused = call().run(counted(&ran)).await.unwrap_err();
        assert_eq!((refused.kind(), ran.count()), (ErrorKind::StoreUnavailable, 0));
        soon(fixture.store().called(Call::Release, 1)).await;
        assert_eq!(call().run(counted(&ran)).await.unwrap(), Outcome::Executed(1));
        assert_eq!(fixture.store().count(Call::Interrupt), 0);
    }

    async fn locks_nobody_heard_of_are_free_long_before_their_lease_ends(fixture: Fixture) {
        let oncely = fixture.coordinator();
        lose_both_replies(&fixture);
        let refused = oncely.lock_all(["a", "b"]).acquire().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
        let began = Instant::now();
        let next = fixture.elsewhere().lock_all(["b", "a"]).wait(secs(20)).acquire();
        soon(next).await.unwrap().release().await.unwrap();
        assert!(began.elapsed() < secs(15), "the lease lasts 30 s");
    }

    async fn an_outage_is_asked_after_until_the_store_is_back(fixture: Fixture) {
        let oncely = fixture.coordinator();
        lose_both_replies(&fixture);
        fixture.store().always(Call::Acquire, StoreFault::FailBefore);
        for key in ["42", "43", "44"] {
            let refused = pay(&oncely, key).run(counted(&Counter::default())).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
        }
        soon(fixture.store().called(Call::Acquire, 8)).await;
        fixture.store().heal();
        // The two that were never granted are granted now, and given back as well.
        soon(fixture.store().called(Call::Release, 3)).await;
        assert_eq!(attempt(&fixture.elsewhere()).await, 1);
    }

    async fn an_outage_longer_than_the_lease_is_not_asked_after_for_ever(fixture: Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().down();
        oncely.lock("order").lease(ms(300)).acquire().await.unwrap_err();
        sleep(secs(2)).await;
        let asked = fixture.store().count(Call::Acquire);
        assert!(asked > 2);
        sleep(secs(2)).await;
        assert_eq!(fixture.store().count(Call::Acquire), asked);
    }

    async fn a_successor_of_a_grant_nobody_heard_of_is_left_alone(fixture: Fixture) {
        let oncely = fixture.coordinator();
        lose_both_replies(&fixture);
        fixture.store().always(Call::Acquire, StoreFault::FailBefore);
        oncely.lock("order").lease(secs(1)).acquire().await.unwrap_err();
        let next = fixture.elsewhere().lock("order").acquire();
        let next = soon(next).await.unwrap();
        fixture.store().heal();
        sleep(secs(2)).await;
        assert!(next.remaining() > secs(1));
        next.release().await.unwrap();
    }

    async fn a_shutdown_asks_after_them_within_its_deadline(fixture: Fixture) {
        let oncely = fixture.coordinator();
        lose_both_replies(&fixture);
        oncely.lock("order").acquire().await.unwrap_err();
        soon(oncely.shutdown(secs(30))).await;
        let next = fixture.elsewhere().lock("order").wait(ms(0)).acquire().await.unwrap();
        next.release().await.unwrap();

        let oncely = fixture.coordinator();
        fixture.store().down();
        oncely.lock("order").acquire().await.unwrap_err();
        let began = Instant::now();
        soon(oncely.shutdown(ms(50))).await;
        assert!(began.elapsed() < secs(4));
    }

    async fn what_was_taken_over_and_not_begun_stays_half_way(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let call = || pay(&oncely, "42").fingerprint("these arguments");
        abort(on_stage(call(), &stage).await).await;
        soon(fixture.store().called(Call::Interrupt, 1)).await;
        // The second attempt is dropped while the store answers.
        fixture.store().once(Call::Acquire, StoreFault::Delay(ms(50)));
        let asked = fixture.store().count(Call::Acquire);
        let second = spawn(call().run(counted(&Counter::default())));
        soon(fixture.store().called(Call::Acquire, asked + 1)).await;
        abort(second).await;
        soon(fixture.store().called(Call::Interrupt, 2)).await;

        let other = pay(&oncely, "42").fingerprint("other arguments");
        let refused = other.run(counted(&Counter::default())).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::KeyReused);
        let third = call().run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert!(soon(third).await.unwrap().into_value() > 1, "the first had begun");
    }

    async fn a_guard_that_is_dropped_was_not_interrupted(fixture: Fixture) {
        // As if its first holder were gone.
        let key = Key::lock("oncely", "order").unwrap();
        let store = fixture.open_elsewhere();
        let gone = store.acquire(&[LeaseRequest::new(key, ms(20))]).await.unwrap();
        assert!(matches!(gone, Acquired::Leases(_)));
        let oncely = fixture.coordinator();
        drop(oncely.lock("order").acquire().await.unwrap());
        let next = oncely.lock("order").run(|call| async move { Ok::<_, Error>(call.attempt()) });
        assert_eq!(soon(next).await.unwrap(), 1);
    }
}
