//! The attributes with `tx` and `begin`.

use oncely::{idempotent, with_lock};
use oncely_tests::ms;

use crate::Failed;
use crate::database::EFFECT;

on_every_database! {
    async fn a_function_joins_the_transaction_of_its_caller(place: 2) {
        #[idempotent(key = "pay:<id>", tx = tx)]
        async fn pay(tx: &mut Tx<'_>, id: u64, cents: u64) -> Result<u64, Failed> {
            sqlx::query(EFFECT).execute(&mut **tx).await?;
            Ok(id + cents)
        }
        let run = async |keep: bool| {
            let mut tx = place.pool.begin().await.unwrap();
            let paid = pay(&mut tx, 1, 100).await;
            if keep { tx.commit().await.unwrap(); }
            paid.unwrap()
        };
        place.oncely.scope(async {
            assert_eq!(run(false).await, 101);
            assert_eq!(run(true).await, 101);
            assert_eq!(run(true).await, 101);
        }).await;
        assert_eq!(effects!(place), 1);
    }

    async fn a_method_begins_a_transaction(place: 2) {
        struct Shop {
            pool: AnyPool,
        }
        impl Shop {
            #[idempotent(key = "pay:<id>", begin(tx = self.pool))]
            #[with_lock(key = "stock:<id>")]
            async fn pay(&self, id: u64) -> Result<u64, Failed> {
                let call = oncely::current().unwrap();
                assert!(call.fencing_token() > 0 && call.is_protected());
                sqlx::query(EFFECT).execute(&mut **tx).await?;
                if id == 0 {
                    return Err(Failed::Declined);
                }
                Ok(id)
            }
        }
        let shop = Shop { pool: place.pool.clone() };
        place.oncely.scope(async {
            for _ in 0..3 {
                assert_eq!(shop.pay(1).await.unwrap(), 1);
            }
            assert!(matches!(shop.pay(0).await, Err(Failed::Declined)));
        }).await;
        assert_eq!(effects!(place), 1);
    }

    async fn a_pool_may_be_an_argument(place: 2) {
        #[idempotent(key = "pay:<id>", begin(tx = pool), remember_errors)]
        async fn pay(pool: &AnyPool, id: u64) -> Result<u64, Failed> {
            sqlx::query(EFFECT).execute(&mut **tx).await?;
            Err(Failed::Declined)
        }
        place.oncely.scope(async {
            for _ in 0..2 {
                assert!(matches!(pay(&place.pool, 1).await, Err(Failed::Declined)));
            }
        }).await;
        assert_eq!(effects!(place), 0);
    }

    async fn a_lock_of_the_transaction_stands_at_a_function(place: 4) {
        #[with_lock(key = "stock:<id>", tx = tx, wait = "100ms")]
        async fn take(tx: &mut Tx<'_>, id: u64) -> Result<u64, oncely::Error> {
            let _ = tx;
            Ok(oncely::current().unwrap().fencing_token() + id - id)
        }
        place.oncely.scope(async {
            let mut tx = place.pool.begin().await.unwrap();
            let token = take(&mut tx, 1).await.unwrap();
            if !place.url.starts_with("sqlite") {
                let mut other = place.pool.begin().await.unwrap();
                assert!(take(&mut other, 1).await.is_err());
                other.rollback().await.unwrap();
            }
            tx.commit().await.unwrap();
            tokio::time::sleep(ms(5)).await;
            let mut tx = place.pool.begin().await.unwrap();
            assert!(take(&mut tx, 1).await.unwrap() > token);
        }).await;
    }

    async fn a_call_inside_itself_is_told_so(place: 2) {
        #[idempotent(key = "pay:<id>", tx = tx)]
        async fn pay(tx: &mut Tx<'_>, id: u64, again: bool) -> Result<u64, oncely::Error> {
            if again {
                Box::pin(pay_again(tx, id)).await
            } else {
                Ok(1)
            }
        }
        async fn pay_again(tx: &mut Tx<'_>, id: u64) -> Result<u64, oncely::Error> {
            pay(tx, id, true).await
        }
        let mut tx = place.pool.begin().await.unwrap();
        let told = place.oncely.scope(pay(&mut tx, 1, true)).await.unwrap_err();
        assert_eq!(told.kind(), oncely::ErrorKind::WouldDeadlock);
    }
}
