//! Calls that would wait for themselves.

use oncely::{Coordinator, Error, ErrorKind, current};
use oncely_tests::{Counter, for_every_store, ms, secs};
use tokio::time::{Instant, sleep};

use crate::{counted, pay, spawn};

/// Takes the lock `key` for a moment.
async fn nested(oncely: &Coordinator, key: &str) -> Result<(), Error> {
    oncely.lock(key).wait(secs(60)).run(|_| async { Ok(()) }).await
}

for_every_store! {
    async fn a_task_that_takes_a_lock_it_holds_is_told_at_once(fixture: Fixture) {
        let (oncely, began) = (fixture.coordinator(), Instant::now());
        let outer = oncely.lock("order").run(|_| nested(&oncely, "order"));
        let refused = outer.await.unwrap_err();
        assert_eq!((refused.kind(), refused.key()), (ErrorKind::WouldDeadlock, Some("order")));
        assert!(!refused.is_retryable());
        assert!(began.elapsed() < secs(10));
    }

    async fn a_lock_held_several_calls_further_out_is_found(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let outer = oncely.lock_all(["x", "order"]).run(|_| async {
            let call = pay(&oncely, "42").run(|_| async {
                oncely.lock("y").run(|_| nested(&oncely, "order")).await
            });
            call.await.map(drop)
        });
        assert_eq!(outer.await.unwrap_err().kind(), ErrorKind::WouldDeadlock);
        // And it left nothing held.
        let all = oncely.lock_all(["x", "order", "y"]).wait(ms(0)).acquire().await.unwrap();
        all.release().await.unwrap();
    }

    async fn one_of_several_locks_is_enough(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let outer = oncely.lock("order").run(|_| async {
            oncely.lock_all(["a", "order"]).run(|_| async { Ok::<_, Error>(()) }).await
        });
        assert_eq!(outer.await.unwrap_err().kind(), ErrorKind::WouldDeadlock);
    }

    async fn a_call_that_calls_itself_is_told_at_once(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let call = pay(&oncely, "42").run(|_| async {
            let inner = pay(&oncely, "42").wait(secs(60)).run(counted(&ran)).await;
            inner.map(|outcome| outcome.into_value())
        });
        assert_eq!(call.await.unwrap_err().kind(), ErrorKind::WouldDeadlock);
        assert_eq!(ran.count(), 0);
    }

    async fn the_lock_of_a_fused_call_counts(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let call = pay(&oncely, "42").with_lock(oncely.lock("order"));
        let call = call.run(|_| nested(&oncely, "order"));
        assert_eq!(call.await.unwrap_err().kind(), ErrorKind::WouldDeadlock);
        let outer = oncely.lock("order").run(|_| async {
            let call = pay(&oncely, "43").with_lock(oncely.lock("order").wait(secs(60)));
            call.run(|_| async { Ok::<_, Error>(()) }).await.map(drop)
        });
        assert_eq!(outer.await.unwrap_err().kind(), ErrorKind::WouldDeadlock);
    }

    async fn nested_calls_with_other_keys_are_fine(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let call = oncely.lock("a").run(|_| async {
            nested(&oncely, "b").await?;
            let inner = pay(&oncely, "a").run(|_| nested(&oncely, "c"));
            inner.await?;
            assert_eq!(current().unwrap().key(), "a");
            nested(&oncely, "b").await
        });
        call.await.unwrap();
    }

    async fn siblings_in_one_task_wait_for_each_other(fixture: Fixture) {
        let (oncely, inside) = (fixture.coordinator(), Counter::default());
        let sibling = || oncely.lock("order").wait(secs(30)).run(|_| async {
            assert_eq!(inside.up(), 1);
            sleep(ms(5)).await;
            inside.down();
            Ok::<_, Error>(())
        });
        let all = oncely.lock("outer").run(|_| async {
            let (one, two, three) = tokio::join!(sibling(), sibling(), sibling());
            one.and(two).and(three)
        });
        all.await.unwrap();
        let twins = || async {
            let call = pay(&oncely, "42").wait(secs(30)).run(|call| async move {
                sleep(ms(5)).await;
                Ok::<_, Error>(call.fencing_token())
            });
            call.await.unwrap().into_value()
        };
        let (one, two) = tokio::join!(twins(), twins());
        assert_eq!(one, two);
    }

    async fn a_spawned_child_is_another_task_and_waits(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let outer = oncely.lock("order").run(|_| async {
            assert!(current().is_some());
            let inner = oncely.clone();
            let child = spawn(async move {
                assert!(current().is_none());
                inner.lock("order").wait(ms(100)).run(|_| async { Ok::<_, Error>(()) }).await
            });
            child.await.unwrap()
        });
        assert_eq!(outer.await.unwrap_err().kind(), ErrorKind::LockBusy);
        // One that nobody waits for gets the lock once it is free.
        let inner = oncely.clone();
        let outer = oncely.lock("order").run(|_| async move {
            Ok::<_, Error>(spawn(async move { nested(&inner, "order").await }))
        });
        outer.await.unwrap().await.unwrap().unwrap();
    }

    async fn a_detached_call_is_still_its_callers(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let outer = oncely.lock("order").run(|_| async {
            let inner = oncely.clone();
            let call = pay(&oncely, "42");
            let call = call.run_detached(move |_| async move { nested(&inner, "order").await });
            call.await.map(drop)
        });
        assert_eq!(outer.await.unwrap_err().kind(), ErrorKind::WouldDeadlock);
    }

    async fn the_same_key_of_another_namespace_is_another_key(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let other = fixture.build(Coordinator::builder().namespace("other"));
        oncely.lock("order").run(|_| nested(&other, "order")).await.unwrap();
    }
}
