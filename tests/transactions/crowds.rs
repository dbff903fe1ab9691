//! Many who want the same at once.

use std::sync::Arc;

use oncely::Outcome;
use oncely_tests::{Counter, Stage, ms, secs, soon};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Failed;
use crate::database::EFFECT;

on_every_database! {
    async fn fifty_duplicates_with_a_pool_of_two_have_one_effect(place: 2) {
        let ran = Counter::default();
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let (place, ran) = (Arc::clone(&place), ran.clone());
            tasks.spawn(async move {
                let call = place.oncely.idempotent("pay", "1").wait(secs(30));
                let pool = place.pool.clone();
                call.run_on(&place.pool, |tx, _| Box::pin(async move {
                    ran.up();
                    sqlx::query(EFFECT).execute(&mut **tx).await?;
                    // One that needs the other connection as well, and must get it. A file has one
                    // writer, and readers beside it.
                    sqlx::query("select count(*) from effects").execute(&pool).await?;
                    Ok::<_, Failed>(ran.count())
                }))
                .await
            });
        }
        let all = timeout(secs(60), tasks.join_all()).await.expect("no deadlock");
        let replayed = all.iter().filter(|outcome| outcome.as_ref().unwrap().is_replayed()).count();
        assert_eq!((replayed, ran.count(), effects!(place)), (49, 1, 1));
        assert!(all.into_iter().all(|outcome| outcome.unwrap().into_value() == 1));
    }

    async fn a_duplicate_waits_for_the_transaction_before_it(place: 4) {
        // As another process would ask.
        let elsewhere = oncely::Coordinator::connect(&place.url).await.unwrap();
        let stage = Stage::default();
        let first = {
            let (place, stage) = (Arc::clone(&place), stage.clone());
            tokio::spawn(async move {
                let call = place.oncely.idempotent("pay", "1");
                call.run_on(&place.pool, |tx, _| Box::pin(async move {
                    sqlx::query(EFFECT).execute(&mut **tx).await?;
                    stage.enter().await;
                    Ok::<_, Failed>(1)
                }))
                .await
            })
        };
        soon(stage.entered()).await;
        if !place.url.starts_with("sqlite") {
            let began = Instant::now();
            let call = elsewhere.idempotent("pay", "1").wait(ms(300));
            let busy = call.run_on(&place.pool, |_, _| Box::pin(async move { Ok::<_, Failed>(2) })).await;
            let busy = busy.unwrap_err();
            assert!(matches!(&busy, Failed::Refused(kind) if kind == "InProgress"), "{busy}");
            assert!(began.elapsed() < secs(5));
        }
        let second = {
            let place = Arc::clone(&place);
            tokio::spawn(async move {
                let call = elsewhere.idempotent("pay", "1").wait(secs(30));
                call.run_on(&place.pool, |_, _| Box::pin(async move { Ok::<_, Failed>(2) })).await
            })
        };
        tokio::time::sleep(ms(100)).await;
        assert!(!second.is_finished());
        stage.open();
        assert_eq!(first.await.unwrap().unwrap(), Outcome::Executed(1));
        let second = soon(second).await.unwrap().unwrap();
        assert_eq!((second.is_replayed(), second.into_value()), (true, 1));
    }

    async fn a_duplicate_of_one_that_is_rolled_back_runs(place: 4) {
        let mut tx = place.pool.begin().await.unwrap();
        let call = place.oncely.idempotent("pay", "1");
        call.run_in(&mut tx, |_, _| Box::pin(async move { Ok::<_, Failed>(1) })).await.unwrap();
        let second = {
            let place = Arc::clone(&place);
            tokio::spawn(async move {
                let call = place.oncely.idempotent("pay", "1").wait(secs(30));
                call.run_on(&place.pool, |_, _| Box::pin(async move { Ok::<_, Failed>(2) })).await
            })
        };
        tokio::time::sleep(ms(50)).await;
        tx.rollback().await.unwrap();
        assert_eq!(soon(second).await.unwrap().unwrap(), Outcome::Executed(2));
    }
}
