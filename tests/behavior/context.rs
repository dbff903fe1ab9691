//! What a body can ask about its call.

use oncely::{Coordinator, Error, Outcome, current};
use oncely_tests::{Counter, Stage, for_every_store, ms, secs};

use crate::{abort, pay, spawn};

async fn downstream(
    oncely: &Coordinator,
    operation: &str,
    scope: &str,
    key: &str,
    purpose: &str,
) -> String {
    let call = oncely.idempotent(operation, key).scope(scope);
    let call = call.run(|call| async move { Ok::<_, Error>(call.downstream_key(purpose)) });
    let key = call.await.unwrap();
    assert!(!key.is_replayed(), "each test case is a call of its own");
    key.into_value()
}

for_every_store! {
    async fn a_body_knows_its_call_and_others_do_not(fixture: Fixture) {
        let oncely = fixture.coordinator();
        assert!(current().is_none());
        let call = pay(&oncely, "42").run(|given| async move {
            let call = current().unwrap();
            assert_eq!((call.operation(), call.key(), call.attempt()), ("pay", "42", 1));
            assert_eq!(call.fencing_token(), given.fencing_token());
            assert!(call.fencing_token() > 0 && call.is_protected());
            assert_eq!(call.recorded(), None);
            let remaining = call.remaining();
            assert!(remaining > secs(20) && remaining <= secs(30), "{remaining:?}");
            Ok::<_, Error>(())
        });
        call.await.unwrap();
        assert!(current().is_none());
    }

    async fn the_innermost_call_is_the_current_one(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let outer = pay(&oncely, "outer").run(|_| async {
            let inner = oncely.lock("inner").run(|call| async move {
                assert_eq!((call.operation(), call.key()), ("lock", "inner"));
                Ok::<_, Error>(current().unwrap().key().to_owned())
            });
            let inner = inner.await?;
            Ok::<_, Error>((inner, current().unwrap().key().to_owned()))
        });
        assert_eq!(outer.await.unwrap().into_value(), ("inner".to_owned(), "outer".to_owned()));
    }

    async fn a_spawned_task_is_no_part_of_the_call_but_may_have_its_clone(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let (done, finish) = tokio::sync::oneshot::channel::<()>();
        let call = oncely.lock("order").run(|call| async move {
            Ok::<_, Error>(spawn(async move {
                assert!(current().is_none());
                assert_eq!(call.key(), "order");
                finish.await.unwrap();
                call.recorded()
            }))
        });
        let child = call.await.unwrap();
        done.send(()).unwrap();
        assert_eq!(child.await.unwrap(), Some(true));
    }

    async fn of_two_bodies_in_one_task_each_knows_its_own_call(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let body = |key: &'static str| {
            let call = pay(&oncely, key);
            call.run(move |_| async move {
                for _ in 0..5 {
                    tokio::task::yield_now().await;
                    assert_eq!(current().unwrap().key(), key);
                }
                Ok::<_, Error>(())
            })
        };
        let (one, other) = tokio::join!(body("1"), body("2"));
        one.and(other).unwrap();
    }

    async fn the_end_of_a_call_is_known_to_its_clones(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let (keep, kept) = tokio::sync::oneshot::channel();
        let lock = oncely.lock("order").run(|call| async {
            keep.send(call).unwrap();
            Ok::<_, Error>(())
        });
        lock.await.unwrap();
        assert_eq!(kept.await.unwrap().recorded(), Some(true));
    }

    async fn downstream_keys_are_the_same_for_every_attempt(fixture: Fixture) {
        let (oncely, stage) = (fixture.coordinator(), Stage::default());
        let (body_stage, (tell, first)) = (stage.clone(), tokio::sync::oneshot::channel());
        let call = spawn(pay(&oncely, "42").run(move |call| async move {
            tell.send(call.downstream_key("charge")).unwrap();
            body_stage.enter().await;
            Ok::<_, Error>(String::new())
        }));
        stage.entered().await;
        abort(call).await;
        let second = pay(&oncely, "42").run(|call| async move {
            assert_eq!(call.attempt(), 2);
            Ok::<_, Error>(call.downstream_key("charge"))
        });
        assert_eq!(first.await.unwrap(), second.await.unwrap().into_value());
    }

    async fn downstream_keys_differ_for_all_that_differs(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let other = fixture.build(Coordinator::builder().namespace("other"));
        let keys = [
            downstream(&oncely, "pay", "", "42", "charge").await,
            downstream(&oncely, "pay", "", "43", "charge").await,
            downstream(&oncely, "pay", "", "44", "mail").await,
            downstream(&oncely, "pay", "", "44c", "harge").await,
            downstream(&oncely, "pay", "user", "42", "charge").await,
            downstream(&oncely, "refund", "", "42", "charge").await,
            downstream(&other, "pay", "", "42", "charge").await,
        ];
        let call = pay(&oncely, "purposes").run(|call| async move {
            Ok::<_, Error>((call.downstream_key("charge"), call.downstream_key("mail")))
        });
        let (charge, mail) = call.await.unwrap().into_value();
        let all: std::collections::BTreeSet<_> = keys.iter().chain([&charge, &mail]).collect();
        assert_eq!(all.len(), keys.len() + 2);
        assert!(all.iter().all(|key| key.len() == 64 && !key.contains("42charge")));
    }

    async fn two_holders_of_one_lock_have_different_downstream_keys(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let key = || async {
            let lock = oncely.lock("order");
            let keys = lock.run(|call| async move {
                Ok::<_, Error>((call.downstream_key("charge"), call.downstream_key("charge")))
            });
            let (one, again) = keys.await.unwrap();
            assert_eq!(one, again);
            one
        };
        assert_ne!(key().await, key().await);
    }

    async fn what_is_left_of_the_lease_falls(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let call = pay(&oncely, "42").run(|call| async move {
            let before = call.remaining();
            tokio::time::sleep(ms(50)).await;
            assert!(call.remaining() <= before - ms(50));
            Ok::<_, Error>(Counter::default().count())
        });
        assert_eq!(call.await.unwrap(), Outcome::Executed(0));
    }
}
