//! What a call says became of its record, to whoever kept a clone of it.

use oncely::testing::{Call, StoreFault};
use oncely::{Error, OnInterrupted};
use oncely_tests::events::Events;
use oncely_tests::{Fixture, Stage, for_every_store, ms, secs, soon};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::{abort, pay, spawn};

/// The clone of a call whose caller was dropped while its outcome was being stored.
async fn dropped_while_stored(fixture: &Fixture, lease: std::time::Duration) -> oncely::Call {
    let (keep, kept) = oneshot::channel();
    let call = pay(&fixture.coordinator(), "42").lease(lease).run(|call| async {
        keep.send(call).unwrap();
        Ok::<_, Error>(1_u32)
    });
    let caller = spawn(call);
    soon(fixture.store().called(Call::Complete, 1)).await;
    abort(caller).await;
    kept.await.unwrap()
}

async fn known(call: &oncely::Call) -> bool {
    let told = async {
        loop {
            if let Some(recorded) = call.recorded() {
                return recorded;
            }
            sleep(ms(5)).await;
        }
    };
    soon(told).await
}

for_every_store! {
    async fn a_write_that_outlives_its_caller_is_known_to_have_succeeded(fixture: Fixture) {
        fixture.store().once(Call::Complete, StoreFault::Delay(ms(100)));
        let call = dropped_while_stored(&fixture, secs(30)).await;
        assert_eq!(call.recorded(), None, "the store is being told");
        assert!(known(&call).await);
    }

    async fn a_write_that_outlives_its_caller_and_fails_is_known_and_reported(fixture: Fixture) {
        let events = Events::listen();
        fixture.store().always(Call::Complete, StoreFault::FailBefore);
        let call = dropped_while_stored(&fixture, ms(300)).await;
        assert!(!known(&call).await);
        assert_eq!(events.count("outcome not recorded"), 1);
    }

    async fn a_call_dropped_half_way_is_known_not_to_be_recorded(fixture: Fixture) {
        for choice in [OnInterrupted::Rerun, OnInterrupted::Hold] {
            let (oncely, stage) = (fixture.coordinator(), Stage::default());
            let (body_stage, (keep, kept)) = (stage.clone(), oneshot::channel());
            let call = pay(&oncely, &format!("{choice:?}")).on_interrupted(choice);
            let caller = spawn(call.run(|call| async move {
                keep.send(call).unwrap();
                body_stage.enter().await;
                Ok::<_, Error>(())
            }));
            soon(stage.entered()).await;
            abort(caller).await;
            assert_eq!(kept.await.unwrap().recorded(), Some(false));
        }
    }

    async fn a_release_that_failed_is_reported(fixture: Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        fixture.store().always(Call::Release, StoreFault::FailBefore);
        let lock = oncely.lock("order").lease(ms(300)).run(|_| async { Ok::<_, Error>(7) });
        assert_eq!(soon(lock).await.unwrap(), 7);
        assert_eq!(events.count("key not given back"), 1);
    }
}
