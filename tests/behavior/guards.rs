//! Locks as values.

use oncely::store::{Acquired, Key, Lease, LeaseRequest, Token, Update};
use oncely::testing::{Call, StoreFault};
use oncely::{ErrorKind, LockGuard};
use oncely_tests::{Fixture, for_every_store, ms, secs, soon};
use tokio::time::{sleep, timeout};

/// Gives the lock of `guard` back behind its back.
async fn delete(fixture: &Fixture, guard: &LockGuard) {
    let key = Key::lock("oncely", guard.key()).unwrap();
    let held = Lease::new(key, Token::new(guard.fencing_token()), 1);
    fixture.open_elsewhere().update(&[(held, Update::Release)]).await.unwrap();
}

for_every_store! {
    async fn a_guard_holds_its_lock_until_it_is_released(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let guard = oncely.lock("order").acquire().await.unwrap();
        assert_eq!(guard.key(), "order");
        let remaining = guard.remaining();
        assert!(remaining > secs(20) && remaining <= secs(30), "{remaining:?}");
        let busy = fixture.elsewhere().lock("order").wait(ms(0)).acquire().await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::LockBusy);
        let token = guard.fencing_token();
        guard.release().await.unwrap();
        let next = fixture.elsewhere().lock("order").wait(ms(0)).acquire().await.unwrap();
        assert!(next.fencing_token() > token);
        next.release().await.unwrap();
    }

    async fn a_guard_that_is_dropped_gives_its_lock_back(fixture: Fixture) {
        let oncely = fixture.coordinator();
        drop(oncely.lock("order").acquire().await.unwrap());
        let next = oncely.lock("order").wait(secs(10)).acquire().await.unwrap();
        next.release().await.unwrap();
    }

    async fn a_guard_is_renewed_while_it_lives(fixture: Fixture) {
        let (oncely, lease) = (fixture.coordinator(), fixture.steady_lease());
        let guard = oncely.lock("order").lease(lease).acquire().await.unwrap();
        let lost = timeout(lease * 3 / 2, guard.lost()).await;
        assert!(lost.is_err(), "not lost");
        let busy = fixture.elsewhere().lock("order").wait(ms(0)).acquire().await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::LockBusy);
        guard.release().await.unwrap();
    }

    async fn a_guard_learns_that_its_lock_was_deleted(fixture: Fixture) {
        let (oncely, lease) = (fixture.coordinator(), fixture.steady_lease());
        let guard = oncely.lock("order").lease(lease).acquire().await.unwrap();
        delete(&fixture, &guard).await;
        timeout(lease, guard.lost()).await.expect("told by the first renewal");
        assert_eq!(guard.remaining(), ms(0));
        guard.lost().await;
    }

    async fn a_guard_learns_of_its_loss_by_the_clock_when_the_store_hangs(fixture: Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().always(Call::Renew, StoreFault::Hang);
        let guard = oncely.lock("order").lease(ms(300)).acquire().await.unwrap();
        timeout(secs(4), guard.lost()).await.expect("told by the clock");
        assert_eq!(guard.remaining(), ms(0));
    }

    async fn releasing_a_lost_lock_says_so_and_leaves_its_successor_alone(fixture: Fixture) {
        let (oncely, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        let guard = oncely.lock("order").acquire().await.unwrap();
        delete(&fixture, &guard).await;
        let successor = elsewhere.lock("order").wait(ms(0)).acquire().await.unwrap();
        let lost = guard.release().await.unwrap_err();
        assert_eq!((lost.kind(), lost.key()), (ErrorKind::LeaseLost, Some("order")));
        let busy = oncely.lock("order").wait(ms(0)).acquire().await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::LockBusy);
        successor.release().await.unwrap();
    }

    async fn releasing_several_locks_says_if_one_of_them_was_lost(fixture: Fixture) {
        for lost in ["a", "b"] {
            let (oncely, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
            let all = oncely.lock_all(["a", "b"]).acquire().await.unwrap();
            let key = Key::lock("oncely", lost).unwrap();
            let rival = LeaseRequest::new(key.clone(), secs(1));
            let Acquired::Occupied(held) = fixture.open_elsewhere().acquire(&[rival]).await.unwrap()
            else {
                panic!("`{lost}` is free");
            };
            let held = Lease::new(key, held.token, 1);
            fixture.open_elsewhere().update(&[(held, Update::Release)]).await.unwrap();
            let successor = elsewhere.lock(lost).wait(ms(0)).acquire().await.unwrap();
            assert_eq!(all.release().await.unwrap_err().kind(), ErrorKind::LeaseLost);
            successor.release().await.unwrap();
        }
    }

    async fn a_release_that_the_store_does_not_hear_says_so(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let guard = oncely.lock("order").lease(ms(300)).acquire().await.unwrap();
        fixture.store().down();
        let refused = timeout(secs(10), guard.release()).await.unwrap().unwrap_err();
        assert_eq!((refused.kind(), refused.key()), (ErrorKind::StoreUnavailable, Some("order")));
    }

    async fn a_release_that_is_dropped_goes_on(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let guard = oncely.lock("order").acquire().await.unwrap();
        fixture.store().once(Call::Release, StoreFault::Delay(ms(50)));
        let release = crate::spawn(guard.release());
        soon(fixture.store().called(Call::Release, 1)).await;
        crate::abort(release).await;
        let next = fixture.elsewhere().lock("order").wait(secs(10)).acquire().await.unwrap();
        next.release().await.unwrap();
    }

    async fn a_late_release_does_not_delete_the_lock_of_a_successor(fixture: Fixture) {
        let (oncely, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        fixture.store().always(Call::Renew, StoreFault::FailBefore);
        fixture.store().always(Call::Release, StoreFault::Delay(ms(500)));
        let guard = oncely.lock("order").lease(ms(100)).acquire().await.unwrap();
        drop(guard);
        let successor = elsewhere.lock("order").acquire().await.unwrap();
        soon(fixture.store().called(Call::Release, 1)).await;
        sleep(ms(700)).await;
        let busy = elsewhere.lock("order").wait(ms(0)).acquire().await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::LockBusy);
        successor.release().await.unwrap();
    }

    async fn a_guard_cannot_hold_its_lock_longer_than_its_limit(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let lock = oncely.lock("order").lease(ms(300)).max_hold(ms(900));
        let guard = lock.acquire().await.unwrap();
        timeout(secs(10), guard.lost()).await.expect("lost at its limit");
        let next = fixture.elsewhere().lock("order").acquire().await.unwrap();
        next.release().await.unwrap();
    }
}

#[test]
fn a_guard_dropped_outside_of_a_runtime_does_not_panic() {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (first, second) = (runtime(), runtime());
    let fixture = first.block_on(Fixture::memory());
    let oncely = fixture.coordinator();

    // Its runtime is there, and asleep: given back when it wakes.
    drop(first.block_on(oncely.lock("order").acquire()).unwrap());
    let guard = first.block_on(oncely.lock("order").wait(secs(5)).acquire()).unwrap();

    // Its runtime is gone: the lease ends by itself.
    drop(first);
    drop(guard);
    let busy = second.block_on(oncely.lock("order").wait(ms(0)).acquire()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::LockBusy);
    let other = second.block_on(oncely.lock("other").lease(ms(400)).acquire()).unwrap();
    second.block_on(async {
        // Renewed on the runtime that is left.
        assert!(timeout(ms(1_000), other.lost()).await.is_err());
        other.release().await.unwrap();
    });
}
