//! The same key with other arguments.

use oncely::testing::{Call, StoreFault};
use oncely::{Error, ErrorKind};
use oncely_tests::{Counter, Stage, for_every_store, ms, secs};
use tokio::time::{Instant, sleep};

use crate::{abort, counted, on_stage, pay};

fn assert_reused(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::KeyReused);
    assert_eq!(error.key(), Some("42"));
    assert!(!error.is_retryable());
    assert_eq!(error.retry_after(), None);
}

for_every_store! {
    async fn a_key_with_other_arguments_is_refused_while_the_first_runs(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(pay(&oncely, "42").fingerprint(&1_000), &stage).await;
        let (ran, began) = (Counter::default(), Instant::now());
        let other = pay(&oncely, "42").fingerprint(&2_000).wait(secs(60)).run(counted(&ran));
        assert_reused(&other.await.unwrap_err());
        assert!(began.elapsed() < secs(5), "it must not wait");
        assert_eq!(ran.count(), 0);
        stage.open();
        first.await.unwrap().unwrap();
    }

    async fn a_key_with_other_arguments_is_refused_once_the_first_is_completed(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let call = |amount: u32| pay(&oncely, "42").fingerprint(&("card", amount));
        call(1_000).run(counted(&ran)).await.unwrap();
        assert_reused(&call(2_000).run(counted(&ran)).await.unwrap_err());
        assert!(call(1_000).run(counted(&ran)).await.unwrap().is_replayed());
        let elsewhere = pay(&fixture.elsewhere(), "42").fingerprint(&("card", 3_000));
        assert_reused(&elsewhere.run(counted(&ran)).await.unwrap_err());
        assert_eq!(ran.count(), 1);
    }

    async fn a_key_with_other_arguments_does_not_take_over_half_a_call(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        abort(on_stage(pay(&oncely, "42").fingerprint(&1_000), &stage).await).await;
        fixture.store().called(Call::Interrupt, 1).await;
        let ran = Counter::default();
        let other = pay(&oncely, "42").fingerprint(&2_000).run(counted(&ran));
        assert_reused(&other.await.unwrap_err());
        let retry = pay(&oncely, "42").fingerprint(&1_000).run(counted(&ran));
        assert_eq!(retry.await.unwrap().into_value(), 1);
    }

    async fn a_key_with_other_arguments_does_not_take_over_an_expired_lease(fixture: Fixture) {
        let stage = Stage::default();
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        fixture.store().always(Call::Interrupt, StoreFault::FailBefore);
        let call = pay(&fixture.coordinator(), "42").fingerprint(&1_000).lease(ms(200));
        abort(on_stage(call, &stage).await).await;
        sleep(ms(400)).await;
        let (elsewhere, ran) = (fixture.elsewhere(), Counter::default());
        let other = pay(&elsewhere, "42").fingerprint(&2_000).run(counted(&ran));
        assert_reused(&other.await.unwrap_err());
        let retry = pay(&elsewhere, "42").fingerprint(&1_000).run(counted(&ran));
        assert_eq!(retry.await.unwrap().into_value(), 1);
    }

    async fn other_arguments_are_refused_before_any_lock_is_looked_at(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        pay(&oncely, "42").fingerprint(&1_000).run(counted(&ran)).await.unwrap();
        let lock = oncely.lock("order").wait(secs(0));
        let _held = oncely.lock("order").acquire().await.unwrap();
        let other = pay(&oncely, "42").fingerprint(&2_000).with_lock(lock).run(counted(&ran));
        assert_reused(&other.await.unwrap_err());
        assert_eq!(ran.count(), 1);
    }
}
