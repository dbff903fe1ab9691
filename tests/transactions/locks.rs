//! Locks of a transaction: held by it, released by its end.

use std::sync::Arc;

use oncely::{Coordinator, ErrorKind};
use oncely_tests::mysql::MySqlServer;
use oncely_tests::{ms, secs, soon};
use sqlx::MySqlPool;

on_every_database! {
    async fn a_lock_is_held_until_its_transaction_ends(place: 4) {
        let mut tx = place.pool.begin().await.unwrap();
        place.oncely.lock("stock").acquire_in(&mut tx).await.unwrap();
        // The file has one writer: whoever else wants to write waits for it in any case.
        if !place.url.starts_with("sqlite") {
            let mut other = place.pool.begin().await.unwrap();
            let lock = place.oncely.lock("stock").wait(ms(200));
            let busy = lock.acquire_in(&mut other).await.unwrap_err();
            assert_eq!(busy.kind(), ErrorKind::LockBusy);
            // That transaction goes on, with other locks.
            place.oncely.lock("other").acquire_in(&mut other).await.unwrap();
            other.commit().await.unwrap();
            // Nor does a holder with a lease get it.
            let lease = place.oncely.lock("stock").wait(ms(200)).acquire().await.unwrap_err();
            assert_eq!(lease.kind(), ErrorKind::LockBusy, "{lease}");
        }
        let waiting = {
            let place = Arc::clone(&place);
            tokio::spawn(async move { place.oncely.lock("stock").wait(secs(30)).acquire().await })
        };
        tokio::time::sleep(ms(50)).await;
        tx.commit().await.unwrap();
        soon(waiting).await.unwrap().unwrap().release().await.unwrap();
    }

    async fn a_lease_keeps_transactions_out(place: 4) {
        let guard = place.oncely.lock("stock").acquire().await.unwrap();
        let mut tx = place.pool.begin().await.unwrap();
        let lock = place.oncely.lock("stock").wait(ms(100));
        let busy = lock.acquire_in(&mut tx).await.unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::LockBusy);
        drop(tx);
        guard.release().await.unwrap();
        let mut tx = place.pool.begin().await.unwrap();
        place.oncely.lock("stock").acquire_in(&mut tx).await.unwrap();
    }

    async fn locks_are_taken_in_any_order_without_a_deadlock(place: 4) {
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..8 {
            let place = Arc::clone(&place);
            tasks.spawn(async move {
                for _ in 0..5 {
                    let keys = if index % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
                    let mut tx = place.pool.begin().await.unwrap();
                    let lock = place.oncely.lock_all(keys).wait(secs(60));
                    match lock.acquire_in(&mut tx).await {
                        Ok(_) => tx.commit().await.unwrap(),
                        // SQLite lets one of several transactions that read first begin again.
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
                    }
                }
            });
        }
        soon(tasks.join_all()).await;
    }

    async fn a_fence_keeps_older_holders_out(place: 2) {
        let write = async |token: u64, keep: bool| {
            let mut tx = place.pool.begin().await.unwrap();
            let fenced = oncely::fence(&mut tx, "stock:1", token).await;
            // Another key has tokens of its own.
            oncely::fence(&mut tx, "stock:2", 1).await.unwrap();
            if keep { tx.commit().await.unwrap() } else { tx.rollback().await.unwrap() }
            fenced
        };
        let late = place.oncely.lock("stock:1").acquire().await.unwrap();
        let old = late.fencing_token();
        late.release().await.unwrap();
        let holder = place.oncely.lock("stock:1").acquire().await.unwrap();
        let new = holder.fencing_token();
        write(old, true).await.unwrap();
        // What was rolled back was not seen.
        write(new, false).await.unwrap();
        write(old, true).await.unwrap();
        write(new, true).await.unwrap();
        for _ in 0..2 {
            let refused = write(old, true).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::LeaseLost);
        }
        // Nor does one without a lease come in.
        assert_eq!(write(0, true).await.unwrap_err().kind(), ErrorKind::LeaseLost);
        write(new, true).await.unwrap();
        holder.release().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_leaves_the_settings_of_its_connections() {
    // To us a server of this version is MySQL: a claim sets how long it waits, and sets it back.
    let server = MySqlServer::with(&["--version=8.0.36"]);
    let url = server.database().await;
    let oncely = Coordinator::connect(&url).await.unwrap();
    let pool = MySqlPool::connect(&url).await.unwrap();
    let patience = async |tx: &mut sqlx::MySqlConnection| -> u64 {
        let ask = "select cast(@@innodb_lock_wait_timeout as unsigned)";
        sqlx::query_scalar(ask).fetch_one(tx).await.unwrap()
    };
    // The rows must be there to be locked.
    for key in ["a", "b"] {
        oncely.lock(key).acquire().await.unwrap().release().await.unwrap();
    }
    let (mut first, mut second) = (pool.begin().await.unwrap(), pool.begin().await.unwrap());
    let before = patience(&mut first).await;
    oncely.lock("a").acquire_in(&mut first).await.unwrap();
    oncely.lock("b").acquire_in(&mut second).await.unwrap();
    let (one, other) = soon(async {
        tokio::join!(
            oncely.lock("b").wait(secs(30)).acquire_in(&mut first),
            oncely.lock("a").wait(secs(30)).acquire_in(&mut second),
        )
    })
    .await;
    let failed: Vec<_> = [one.err(), other.err()].into_iter().flatten().collect();
    assert!(matches!(&failed[..], [error] if error.kind() == ErrorKind::Conflict), "{failed:?}");
    for mut tx in [first, second] {
        assert_eq!(patience(&mut tx).await, before);
    }
}
