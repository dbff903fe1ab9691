//! Calls in transactions beside holders of leases, and beside each other.

use std::sync::Arc;
use std::time::Instant;

use oncely::{Coordinator, Error, ErrorKind, Outcome};
use oncely_tests::{ms, secs, soon};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// A call that holds its key with a lease for so long, and a sign that it runs.
async fn leased(
    oncely: &Coordinator,
    milliseconds: u64,
) -> tokio::task::JoinHandle<Result<u64, Error>> {
    let (oncely, (begins, begun)) = (oncely.clone(), oneshot::channel());
    let twin = tokio::spawn(async move {
        let call = oncely.idempotent("pay", "1").lease(ms(1_000));
        let ran = call.run(|_| async move {
            let _ = begins.send(());
            sleep(ms(milliseconds)).await;
            Ok::<_, Error>(7)
        });
        ran.await.map(Outcome::into_value)
    });
    soon(begun).await.unwrap();
    twin
}

on_every_database! {
    async fn a_begun_call_waits_for_a_twin_with_a_lease_and_replays(place: 4) {
        let twin = leased(&place.oncely, 2_500).await;
        let call = place.oncely.idempotent("pay", "1").wait(secs(20));
        let given = soon(call.run_on(&place.pool, |_, _| Box::pin(async { Ok::<_, Error>(8) })));
        let given = given.await.unwrap();
        assert_eq!((given.is_replayed(), given.into_value()), (true, 7));
        // It could renew its lease and say how it ended.
        assert_eq!(soon(twin).await.unwrap().unwrap(), 7);
    }

    async fn a_begun_call_waits_for_the_holder_of_a_lock(place: 4) {
        let guard = place.oncely.lock("stock").lease(ms(1_000)).acquire().await.unwrap();
        let waiting = {
            let place = Arc::clone(&place);
            tokio::spawn(async move {
                let lock = place.oncely.lock("stock").wait(secs(20));
                let call = place.oncely.idempotent("pay", "1").with_lock(lock);
                call.run_on(&place.pool, |_, _| Box::pin(async { Ok::<_, Error>(8) })).await
            })
        };
        sleep(ms(2_500)).await;
        assert!(guard.remaining() > ms(0));
        let began = Instant::now();
        guard.release().await.unwrap();
        assert!(began.elapsed() < secs(2), "{:?}", began.elapsed());
        assert_eq!(soon(waiting).await.unwrap().unwrap(), Outcome::Executed(8));
    }

    async fn a_lock_in_a_transaction_keeps_nobody_from_giving_it_back(place: 4) {
        let guard = place.oncely.lock("stock").lease(ms(1_000)).acquire().await.unwrap();
        let waiting = {
            let place = Arc::clone(&place);
            tokio::spawn(async move {
                loop {
                    let mut tx = place.pool.begin().await.unwrap();
                    let lock = place.oncely.lock("stock").wait(secs(20));
                    match lock.acquire_in(&mut tx).await {
                        Ok(_) => return tx.commit().await.unwrap(),
                        Err(error) => assert!(error.is_retryable(), "{error}"),
                    }
                    tx.rollback().await.unwrap();
                    sleep(ms(20)).await;
                }
            })
        };
        sleep(ms(2_500)).await;
        let began = Instant::now();
        guard.release().await.unwrap();
        assert!(began.elapsed() < secs(2), "{:?}", began.elapsed());
        soon(waiting).await.unwrap();
    }

    async fn a_begun_call_waits_no_longer_than_it_says(place: 4) {
        let twin = leased(&place.oncely, 6_000).await;
        let began = Instant::now();
        let wait = || async {
            let call = place.oncely.idempotent("pay", "1").wait(secs(2));
            call.run_on(&place.pool, |_, _| Box::pin(async { Ok::<_, Error>(8) })).await
        };
        for refused in <[_; 2]>::from(tokio::join!(wait(), wait())) {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InProgress, "{refused}");
            assert!(refused.waited().unwrap() >= ms(1_900), "{refused}");
        }
        assert!(began.elapsed() < ms(3_900), "{:?}", began.elapsed());
        assert_eq!(soon(twin).await.unwrap().unwrap(), 7);
    }

    async fn other_arguments_are_refused_while_a_begun_call_runs(place: 4) {
        let (oncely, pool) = (place.oncely.clone(), place.pool.clone());
        let (begins, begun) = oneshot::channel();
        let first = tokio::spawn(async move {
            let call = oncely.idempotent("pay", "1").fingerprint("one");
            call.run_on(&pool, |_, _| Box::pin(async move {
                let _ = begins.send(());
                sleep(ms(500)).await;
                Ok::<_, Error>(7)
            }))
            .await
        });
        soon(begun).await.unwrap();
        let other = place.oncely.idempotent("pay", "1").fingerprint("two").wait(ms(0));
        let other = other.run_on(&place.pool, |_, _| Box::pin(async { Ok::<_, Error>(8) })).await;
        assert_eq!(other.unwrap_err().kind(), ErrorKind::KeyReused);
        assert_eq!(soon(first).await.unwrap().unwrap(), Outcome::Executed(7));
    }

    async fn a_begun_call_inside_itself_is_told_so_at_once(place: 4) {
        let began = Instant::now();
        let (oncely, pool) = (&place.oncely, &place.pool);
        let (inner_oncely, inner_pool) = (oncely.clone(), pool.clone());
        let told = oncely.idempotent("pay", "1").run_on(pool, |_, _| Box::pin(async move {
            let again = inner_oncely.idempotent("pay", "1");
            again.run_on(&inner_pool, |_, _| Box::pin(async { Ok::<_, Error>(8) })).await
                .map(Outcome::into_value)
        }));
        assert_eq!(told.await.unwrap_err().kind(), ErrorKind::WouldDeadlock);
        assert!(began.elapsed() < secs(3));
    }

    async fn a_shutdown_names_the_transactions_that_are_open(place: 4) {
        let oncely = Coordinator::builder().store_timeout(ms(300)).connect(&place.url).await.unwrap();
        let (pool, (begins, begun)) = (place.pool.clone(), oneshot::channel());
        let caller = oncely.clone();
        let open = tokio::spawn(async move {
            caller.idempotent("pay", "1").run_on(&pool, |_, _| Box::pin(async move {
                let _ = begins.send(());
                sleep(secs(2)).await;
                Ok::<_, Error>(7)
            }))
            .await
        });
        soon(begun).await.unwrap();
        let shutdown = soon(oncely.shutdown(ms(20))).await;
        assert_eq!(shutdown.unreleased, ["1"]);
        assert_eq!(soon(open).await.unwrap().unwrap(), Outcome::Executed(7));
    }

    async fn a_begun_call_waits_its_turn_for_a_connection(place: 1) {
        let oncely = Coordinator::builder().store_timeout(ms(300)).connect(&place.url).await.unwrap();
        let (caller, pool, (begins, begun)) = (oncely.clone(), place.pool.clone(), oneshot::channel());
        let first = tokio::spawn(async move {
            caller.idempotent("pay", "1").run_on(&pool, |_, _| Box::pin(async move {
                let _ = begins.send(());
                sleep(ms(1_500)).await;
                Ok::<_, Error>(7)
            }))
            .await
        });
        soon(begun).await.unwrap();
        let call = |wait| {
            let call = oncely.idempotent("pay", "2").wait(wait);
            call.run_on(&place.pool, |_, _| Box::pin(async { Ok::<_, Error>(8) }))
        };
        let refused = call(ms(0)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnavailable, "{refused}");
        assert_eq!(soon(call(secs(20))).await.unwrap(), Outcome::Executed(8));
        assert_eq!(soon(first).await.unwrap().unwrap(), Outcome::Executed(7));
    }
}
