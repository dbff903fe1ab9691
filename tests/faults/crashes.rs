//! Processes that die while they hold something.

use oncely::{Error, ErrorKind, Outcome};
use oncely_tests::processes::pay;
use oncely_tests::secs;
use tokio::time::{Instant, timeout};

use crate::child::{Child, Folder};

#[tokio::test]
async fn the_process_dies_mid_body_and_after_the_lease_the_next_call_runs() {
    let folder = Folder::new();
    let oncely = folder.coordinator().await;
    let mut last = 0;
    for attempt in 1..=2 {
        let mut child = Child::play("begins", "rerun", &folder);
        let token: u64 = child.hears().await.unwrap().parse().unwrap();
        assert!(token > last, "{token} after {last}");
        last = token;
        child.kill().await;
        assert_eq!(folder.effects().len(), attempt);
    }
    let next = pay(&oncely)
        .run(|call| async move { Ok::<_, Error>((call.attempt(), call.fencing_token())) });
    let next = next.await.unwrap();
    assert!(!next.is_replayed());
    let (attempt, token) = next.into_value();
    assert_eq!(attempt, 3);
    assert!(token > last);
}

#[tokio::test]
async fn the_process_dies_mid_body_and_a_call_held_back_waits_to_be_resolved() {
    let folder = Folder::new();
    let mut child = Child::play("begins", "hold", &folder);
    child.hears().await.unwrap();
    child.kill().await;
    let oncely = folder.coordinator().await;
    for _ in 0..2 {
        let refused = pay(&oncely).run(|_| async { Ok::<_, Error>(0_u64) }).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Interrupted);
    }
    assert!(pay(&oncely).resolve_with(&7_u64).await.unwrap());
    let replay = pay(&oncely).run(|_| async { Ok::<_, Error>(0_u64) }).await.unwrap();
    assert_eq!((replay.is_replayed(), replay.into_value()), (true, 7));
    assert_eq!(folder.effects().len(), 1);
}

#[tokio::test]
async fn the_locks_of_a_process_that_died_are_free_after_their_lease() {
    let folder = Folder::new();
    let mut child = Child::play("holds_locks", "", &folder);
    let token: u64 = child.hears().await.unwrap().parse().unwrap();
    let oncely = folder.coordinator().await;
    let busy = oncely.lock("b").wait(secs(0)).acquire().await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::LockBusy);
    child.kill().await;
    let began = Instant::now();
    let next = oncely.lock_all(["b", "a"]).wait(secs(30)).acquire().await.unwrap();
    assert!(next.fencing_token() > token);
    assert!(began.elapsed() < secs(15), "its lease lasts 2 s");
    next.release().await.unwrap();
}

#[tokio::test]
async fn an_outcome_is_there_when_the_file_is_opened_again() {
    let folder = Folder::new();
    let run = |value: u64| {
        let folder = &folder;
        async move {
            let oncely = folder.coordinator().await;
            pay(&oncely).run(|_| async move { Ok::<_, Error>(value) }).await.unwrap()
        }
    };
    assert_eq!(run(1).await, Outcome::Executed(1));
    let replay = timeout(secs(30), run(2)).await.unwrap();
    assert_eq!((replay.is_replayed(), replay.into_value()), (true, 1));
}
