//! Somebody looks at an interrupted call and decides.

use oncely::testing::{Call, StoreFault};
use oncely::{Coordinator, ErrorKind, Idempotent, OnInterrupted};
use oncely_tests::{Counter, Fixture, Stage, for_every_store, ms};

use crate::outcomes::Unserializable;
use crate::{abort, counted, on_stage, pay};

fn held(oncely: &Coordinator) -> Idempotent {
    pay(oncely, "42").fingerprint(&1_000).on_interrupted(OnInterrupted::Hold)
}

/// A call that was interrupted and is held back.
async fn interrupted(fixture: &Fixture) -> Coordinator {
    let (oncely, stage) = (fixture.coordinator(), Stage::default());
    abort(on_stage(held(&oncely), &stage).await).await;
    let refused = held(&oncely).run(counted(&Counter::default())).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Interrupted);
    oncely
}

for_every_store! {
    async fn a_call_resolved_as_not_run_runs(fixture: Fixture) {
        let (oncely, ran) = (interrupted(&fixture).await, Counter::default());
        assert!(pay(&fixture.elsewhere(), "42").resolve_as_not_run().await.unwrap());
        let next = held(&oncely).run(counted(&ran)).await.unwrap();
        assert_eq!((next.is_replayed(), ran.count()), (false, 1));
    }

    async fn a_call_resolved_with_a_value_replays_it(fixture: Fixture) {
        let (oncely, ran) = (interrupted(&fixture).await, Counter::default());
        assert!(pay(&fixture.elsewhere(), "42").resolve_with(&77_usize).await.unwrap());
        let next = held(&oncely).run(counted(&ran)).await.unwrap();
        assert_eq!((next.is_replayed(), next.into_value()), (true, 77));
        assert_eq!(ran.count(), 0);
    }

    async fn a_resolved_call_still_belongs_to_its_arguments(fixture: Fixture) {
        let (oncely, ran) = (interrupted(&fixture).await, Counter::default());
        assert!(pay(&oncely, "42").resolve_with(&77_usize).await.unwrap());
        let other = pay(&oncely, "42").fingerprint(&2_000).run(counted(&ran)).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::KeyReused);
    }

    async fn a_call_is_resolved_once(fixture: Fixture) {
        let oncely = interrupted(&fixture).await;
        assert!(pay(&oncely, "42").resolve_with(&77_usize).await.unwrap());
        assert!(!pay(&oncely, "42").resolve_with(&78_usize).await.unwrap());
        assert!(!pay(&oncely, "42").resolve_as_not_run().await.unwrap());
        let replay = held(&oncely).run(counted(&Counter::default())).await.unwrap();
        assert_eq!(replay.into_value(), 77);
    }

    async fn a_call_that_never_was_is_not_resolved(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        assert!(!pay(&oncely, "42").resolve_with(&77_usize).await.unwrap());
        assert!(!pay(&oncely, "42").resolve_as_not_run().await.unwrap());
        let next = held(&oncely).run(counted(&ran)).await.unwrap();
        assert_eq!((next.is_replayed(), ran.count()), (false, 1));
    }

    async fn a_call_that_runs_is_not_resolved(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let first = on_stage(held(&oncely), &stage).await;
        let refused = pay(&oncely, "42").resolve_as_not_run().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InProgress);
        let refused = pay(&oncely, "42").resolve_with(&77_u32).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InProgress);
        stage.open();
        assert_eq!(first.await.unwrap().unwrap().into_value(), 1);
    }

    async fn a_resolution_that_is_dropped_decides_nothing(fixture: Fixture) {
        let oncely = interrupted(&fixture).await;
        let before = fixture.store().count(Call::Acquire);
        fixture.store().once(Call::Acquire, StoreFault::Delay(ms(50)));
        let call = pay(&oncely, "42");
        let dropped = crate::spawn(async move { call.resolve_with(&77_usize).await });
        fixture.store().called(Call::Acquire, before + 1).await;
        abort(dropped).await;
        let shutdown = oncely.shutdown(ms(5_000)).await;
        assert!(shutdown.stopped.is_empty());
        let ran = Counter::default();
        let still = held(&fixture.elsewhere()).run(counted(&ran)).await.unwrap_err();
        assert_eq!((still.kind(), ran.count()), (ErrorKind::Interrupted, 0));
    }

    async fn a_resolution_that_fails_half_way_decides_nothing(fixture: Fixture) {
        let oncely = interrupted(&fixture).await;
        fixture.store().always(Call::Complete, StoreFault::FailBefore);
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        let failed = pay(&oncely, "42").lease(ms(200)).resolve_with(&77_usize).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::StoreUnavailable);
        let ran = Counter::default();
        let still = held(&fixture.elsewhere()).run(counted(&ran)).await.unwrap_err();
        assert_eq!((still.kind(), ran.count()), (ErrorKind::Interrupted, 0));
    }

    async fn a_resolution_of_nothing_that_is_dropped_leaves_nothing(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().once(Call::Acquire, StoreFault::Delay(ms(50)));
        let call = pay(&oncely, "42");
        let dropped = crate::spawn(async move { call.resolve_with(&77_usize).await });
        fixture.store().called(Call::Acquire, 1).await;
        abort(dropped).await;
        fixture.store().called(Call::Release, 1).await;
        assert!(!held(&oncely).run(counted(&ran)).await.unwrap().is_replayed());
    }

    async fn a_value_that_cannot_be_stored_resolves_nothing(fixture: Fixture) {
        let oncely = interrupted(&fixture).await;
        let refused = pay(&oncely, "42").resolve_with(&Unserializable).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unreadable);
        let still = held(&oncely).run(counted(&Counter::default())).await.unwrap_err();
        assert_eq!(still.kind(), ErrorKind::Interrupted);
    }

    async fn a_store_that_is_down_resolves_nothing_and_says_so(fixture: Fixture) {
        let oncely = interrupted(&fixture).await;
        fixture.store().down();
        let refused = pay(&oncely, "42").resolve_as_not_run().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable);
        fixture.store().heal();
        assert!(pay(&oncely, "42").resolve_as_not_run().await.unwrap());
    }

    async fn an_interrupted_call_that_may_rerun_can_be_resolved_too(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        abort(on_stage(pay(&oncely, "42"), &stage).await).await;
        // The interruption is told in the background.
        let resolved = loop {
            match pay(&oncely, "42").resolve_with(&77_usize).await {
                Err(error) if error.kind() == ErrorKind::InProgress => {
                    tokio::time::sleep(ms(5)).await;
                }
                resolved => break resolved,
            }
        };
        assert!(resolved.unwrap());
        let replay = pay(&oncely, "42").run(counted(&Counter::default())).await.unwrap();
        assert_eq!(replay.into_value(), 77);
    }
}
