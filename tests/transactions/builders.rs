//! Without the attributes: `run_in`, `run_on`.

use oncely::{Coordinator, Outcome};
use oncely_tests::Counter;

use crate::Failed;
use crate::database::EFFECT;

on_every_database! {
    async fn effect_and_outcome_become_real_together(place: 4) {
        let run = async |keep: bool| {
            let mut tx = place.pool.begin().await.unwrap();
            let outcome = place
                .oncely
                .idempotent("pay", "1")
                .fingerprint("arguments")
                .run_in(&mut tx, |tx, call| Box::pin(async move {
                    sqlx::query(EFFECT).execute(&mut **tx).await?;
                    Ok::<_, Failed>(call.attempt())
                }))
                .await
                .unwrap();
            if keep { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
            outcome
        };
        assert_eq!(run(false).await, Outcome::Executed(1));
        assert_eq!(effects!(place), 0);
        // As if it had never been called: no attempt is counted.
        assert_eq!(run(true).await, Outcome::Executed(1));
        assert_eq!(effects!(place), 1);
        for _ in 0..3 {
            assert!(run(true).await.is_replayed());
        }
        assert_eq!(effects!(place), 1);
        // Whoever asks without a transaction gets the same.
        let replay = place.oncely.idempotent("pay", "1").fingerprint("arguments");
        let replay = replay.run(|_| std::future::ready(Err::<u32, _>(Failed::Declined))).await.unwrap();
        assert!(replay.is_replayed());
    }

    async fn a_call_can_begin_its_own_transaction(place: 2) {
        let ran = Counter::default();
        for round in 0..3 {
            let runs = ran.clone();
            let outcome = place
                .oncely
                .idempotent("pay", "1")
                .run_on(&place.pool, |tx, _| Box::pin(async move {
                    runs.up();
                    sqlx::query(EFFECT).execute(&mut **tx).await?;
                    Ok::<_, Failed>(7)
                }))
                .await
                .unwrap();
            assert_eq!((outcome.is_replayed(), outcome.into_value()), (round > 0, 7));
        }
        assert_eq!((ran.count(), effects!(place)), (1, 1));
    }

    async fn a_key_that_was_given_back_is_taken(place: 2) {
        let token = std::sync::Mutex::new(0);
        let given_back = place.oncely.idempotent("pay", "1").run(|call| {
            *token.lock().unwrap() = call.fencing_token();
            std::future::ready(Err::<u64, _>(Failed::Declined))
        });
        assert!(given_back.await.is_err());
        let call = place.oncely.idempotent("pay", "1");
        let taken = call.run_on(&place.pool, |_, call| Box::pin(async move {
            Ok::<_, Failed>(call.fencing_token())
        }));
        assert!(taken.await.unwrap().into_value() > *token.lock().unwrap());
    }

    async fn a_forgotten_error_leaves_nothing(place: 2) {
        for _ in 0..2 {
            let failed = place
                .oncely
                .idempotent("pay", "1")
                .run_on(&place.pool, |tx, call| Box::pin(async move {
                    sqlx::query(EFFECT).execute(&mut **tx).await?;
                    assert_eq!(call.attempt(), 1);
                    Err::<(), _>(Failed::Declined)
                }))
                .await
                .unwrap_err();
            assert!(matches!(failed, Failed::Declined));
        }
        assert_eq!(effects!(place), 0);
        // In a transaction of the caller's, who commits it all the same, the key is free.
        let mut tx = place.pool.begin().await.unwrap();
        let call = place.oncely.idempotent("pay", "1");
        call.run_in(&mut tx, |_, _| Box::pin(async move { Err::<(), _>(Failed::Declined) })).await.unwrap_err();
        tx.commit().await.unwrap();
        let next = place.oncely.idempotent("pay", "1").wait(oncely_tests::secs(0));
        let next = next.run(|call| std::future::ready(Ok::<_, Failed>(call.attempt()))).await.unwrap();
        assert_eq!(next, Outcome::Executed(1));
    }

    async fn a_remembered_error_undoes_the_body_and_is_replayed(place: 2) {
        let ran = Counter::default();
        for round in 0..3 {
            let runs = ran.clone();
            let failed = place
                .oncely
                .idempotent("pay", "1")
                .remember_errors()
                .run_on(&place.pool, |tx, _| Box::pin(async move {
                    runs.up();
                    sqlx::query(EFFECT).execute(&mut **tx).await?;
                    // Even where the transaction itself has failed.
                    let _ = sqlx::query("select nonsense").execute(&mut **tx).await;
                    Err::<(), _>(Failed::Declined)
                }))
                .await
                .unwrap_err();
            assert!(matches!(failed, Failed::Declined), "{failed} in round {round}");
        }
        assert_eq!((ran.count(), effects!(place)), (1, 0));
    }

    async fn a_body_that_panics_leaves_nothing(place: 2) {
        let (oncely, pool) = (place.oncely.clone(), place.pool.clone());
        let panicking = tokio::spawn(async move {
            let call = oncely.idempotent("pay", "1");
            call.run_on(&pool, |tx, _| Box::pin(async move {
                sqlx::query(EFFECT).execute(&mut **tx).await?;
                if effects_are_many() { return Ok::<_, Failed>(()); }
                panic!("half-way");
            }))
            .await
        });
        assert!(panicking.await.unwrap_err().is_panic());
        let outcome = place
            .oncely
            .idempotent("pay", "1")
            .run_on(&place.pool, |_, call| Box::pin(async move { Ok::<_, Failed>(call.attempt()) }))
            .await
            .unwrap();
        assert_eq!(outcome, Outcome::Executed(1));
        assert_eq!(effects!(place), 0);
    }

    async fn other_arguments_are_refused(place: 2) {
        let call = |arguments: u32| place.oncely.idempotent("pay", "1").fingerprint(&arguments);
                call(1).run_on(&place.pool, |_, _| Box::pin(async { Ok::<_, Failed>(1) })).await.unwrap();
        let refused = call(2).run_on(&place.pool, |_, _| Box::pin(async { Ok::<_, Failed>(1) })).await.unwrap_err();
        assert!(matches!(&refused, Failed::Refused(kind) if kind == "KeyReused"), "{refused}");
    }

    async fn protected_calls_in_transactions_can_move_to_another_thread(place: 2) {
        let (oncely, pool) = (place.oncely.clone(), place.pool.clone());
        let outcome = tokio::spawn(async move { begun(&oncely, &pool).await });
        assert_eq!(outcome.await.unwrap().unwrap(), 3);

        async fn begun(oncely: &Coordinator, pool: &AnyPool) -> Result<u32, Failed> {
            let call = oncely.idempotent("pay", "1");
            let outcome = call.run_on(pool, |tx, _| Box::pin(async move {
                sqlx::query(EFFECT).execute(&mut **tx).await?;
                Ok::<_, Failed>(3)
            }));
            Ok(outcome.await?.into_value())
        }
    }

    async fn a_lock_of_a_transaction_has_a_rising_token(place: 2) {
        let mut last = 0;
        for keep in [true, false, true] {
            let mut tx = place.pool.begin().await.unwrap();
            let lock = place.oncely.lock("stock");
            let token = lock.acquire_in(&mut tx).await.unwrap();
            assert!(token > last, "{token} after {last}");
            if keep {
                tx.commit().await.unwrap();
                last = token;
            }
        }
        let guard = place.oncely.lock("stock").acquire().await.unwrap();
        assert!(guard.fencing_token() > last);
        guard.release().await.unwrap();
    }
}

fn effects_are_many() -> bool {
    false
}
