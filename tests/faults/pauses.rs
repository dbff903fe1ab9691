//! Processes that are stopped for longer than their lease lasts, and go on.

use oncely::{Error, Outcome};
use oncely_tests::processes::pay;
use oncely_tests::secs;

use crate::child::{Child, Folder};

/// Takes over from a process that does not answer, and completes the call.
async fn take_over(folder: &Folder, stale: u64) {
    let oncely = folder.coordinator().await;
    let successor = pay(&oncely).run(|call| async move {
        assert!(call.fencing_token() > stale);
        assert_eq!(call.attempt(), 2);
        Ok::<_, Error>(7_u64)
    });
    assert_eq!(successor.await.unwrap(), Outcome::Executed(7));
}

async fn replays_the_successor(folder: &Folder) {
    let replay = pay(&folder.coordinator().await).run(|_| async { Ok::<_, Error>(8_u64) });
    let replay = replay.await.unwrap();
    assert_eq!((replay.is_replayed(), replay.into_value()), (true, 7));
}

#[tokio::test]
async fn a_stale_body_is_dropped_when_its_process_goes_on() {
    let folder = Folder::new();
    let mut stale = Child::play("works_on_and_on", "", &folder);
    let token: u64 = stale.hears().await.unwrap().parse().unwrap();
    stale.pause().await;
    take_over(&folder, token).await;
    let before = folder.effects().len();
    assert!(before > 0);
    stale.go_on().await;
    assert_eq!(stale.hears().await.unwrap(), "ended Err(LeaseLost)");
    // At most the step it was in the middle of.
    let after = folder.effects().len() - before;
    assert!(after <= 1, "{after} effects under a lease that was lost");
    replays_the_successor(&folder).await;
}

#[tokio::test]
async fn a_stale_holder_that_completes_late_changes_nothing() {
    let folder = Folder::new();
    let mut stale = Child::play("works_without_an_await", "", &folder);
    let token: u64 = stale.hears().await.unwrap().parse().unwrap();
    stale.pause().await;
    take_over(&folder, token).await;
    std::fs::write(folder.path().join("finish"), "").unwrap();
    stale.go_on().await;
    assert_eq!(stale.hears().await.unwrap(), "ended Err(LeaseLost)");
    replays_the_successor(&folder).await;
}

#[tokio::test]
async fn a_stale_guard_learns_that_it_is_lost_and_leaves_its_successor_alone() {
    let folder = Folder::new();
    let mut stale = Child::play("holds_locks", "", &folder);
    stale.hears().await.unwrap();
    stale.pause().await;
    let oncely = folder.coordinator().await;
    let successor = oncely.lock("a").wait(secs(30)).acquire().await.unwrap();
    stale.go_on().await;
    assert_eq!(stale.hears().await.unwrap(), "lost");
    // It has dropped its guard; that gives back nothing of ours.
    assert_eq!(stale.hears().await, None);
    oncely.lock("a").wait(secs(0)).acquire().await.unwrap_err();
    oncely.lock("b").wait(secs(30)).acquire().await.unwrap().release().await.unwrap();
    successor.release().await.unwrap();
}
