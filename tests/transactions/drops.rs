//! Calls that are dropped at each of their awaits, on a connection that has prepared no statement yet:
//! whoever gets the connection next must find it in step with its server, and no transaction open.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use oncely::store::sql::mysql::MySqlStore;
use oncely::store::sql::postgres::PostgresStore;
use oncely_tests::{payments, soon};
use tokio::time::timeout;

use crate::Failed;

/// No call here has as many awaits.
const MOST: usize = 200;

/// Drops the future at its next pause after so many; says whether it came to its end before.
async fn dropped_after(mut pauses: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if pauses == 0 => Poll::Ready(false),
        Poll::Pending => {
            pauses -= 1;
            Poll::Pending
        }
    })
    .await
}

/// The one connection of the pool answers what it is asked, and the call can be made again.
macro_rules! whole {
    ($place:expr, $pool:expr, $key:expr, $pauses:expr) => {
        let paid = timeout(oncely_tests::secs(15), payments::pay(&$place.oncely, &$pool, &$key));
        let paid = paid.await.unwrap_or_else(|_| panic!("stuck after {} pauses", $pauses));
        let paid = paid.unwrap_or_else(|error| panic!("after {} pauses: {error}", $pauses));
        assert_eq!(paid.into_value(), 2, "after {} pauses", $pauses);
        let effects = "select count(*), max(name) from effects";
        let (count, name): (i64, String) =
            soon(sqlx::query_as(effects).fetch_one(&$pool)).await.unwrap();
        assert_eq!((count, name), (2, $key), "after {} pauses", $pauses);
        sqlx::query("delete from effects").execute(&$pool).await.unwrap();
    };
}

on_every_database! {
    async fn a_call_that_begins_is_dropped_anywhere(place: 2) {
        for pauses in 0..MOST {
            let (pool, key): (AnyPool, _) = (payments::pool(&place.url, 1).await, pauses.to_string());
            let ended = dropped_after(pauses, payments::pay(&place.oncely, &pool, &key)).await;
            whole!(place, pool, key, pauses);
            if ended {
                return;
            }
        }
        panic!("it never ends");
    }

    async fn a_call_that_joins_is_dropped_anywhere(place: 2) {
        for pauses in 0..MOST {
            let (pool, key): (AnyPool, _) = (payments::pool(&place.url, 1).await, pauses.to_string());
            let mut tx = pool.begin().await.unwrap();
            let call = place.oncely.idempotent("joins", &key);
            let body = call.run_in(&mut tx, |_, _| Box::pin(async { Ok::<_, Failed>(1) }));
            let ended = dropped_after(pauses, body).await;
            drop(tx);
            whole!(place, pool, key, pauses);
            if ended {
                return;
            }
        }
        panic!("it never ends");
    }

    async fn a_lock_that_joins_is_dropped_anywhere(place: 2) {
        for pauses in 0..MOST {
            let (pool, key): (AnyPool, _) = (payments::pool(&place.url, 1).await, pauses.to_string());
            let mut tx = pool.begin().await.unwrap();
            let ended = dropped_after(pauses, place.oncely.lock(&key).acquire_in(&mut tx)).await;
            drop(tx);
            whole!(place, pool, key, pauses);
            if ended {
                return;
            }
        }
        panic!("it never ends");
    }
}

macro_rules! a_store_of_a_pool_is_dropped_anywhere {
    ($name:ident, $database:ident, $pool:ty, $store:ty) => {
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let place = crate::database::$database(2).await;
            for pauses in 0..MOST {
                let pool: $pool = payments::pool(&place.url, 1).await;
                let key = pauses.to_string();
                let ended = dropped_after(pauses, <$store>::from_pool(pool.clone())).await;
                whole!(place, pool, key, pauses);
                if ended {
                    return;
                }
            }
            panic!("it never ends");
        }
    };
}

a_store_of_a_pool_is_dropped_anywhere! {
    a_store_of_a_postgres_pool_is_dropped_anywhere, postgres, sqlx::PgPool, PostgresStore
}
a_store_of_a_pool_is_dropped_anywhere! {
    a_store_of_a_mysql_pool_is_dropped_anywhere, mysql, sqlx::MySqlPool, MySqlStore
}
