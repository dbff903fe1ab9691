//! Processes that hold something until they are killed.

use std::future::pending;

use oncely::{Error, OnInterrupted};
use oncely_tests::processes::{Part, pay};
use oncely_tests::secs;

/// Begins the call and comes to no end.
pub(crate) async fn begins(part: Part) {
    let hold = part.argument == "hold";
    let choice = if hold { OnInterrupted::Hold } else { OnInterrupted::Rerun };
    let call = pay(&part.connect().await).on_interrupted(choice);
    let ended = call.run(|call| {
        let part = &part;
        async move {
            part.effect("begun");
            part.say(call.fencing_token());
            pending::<Result<u64, Error>>().await
        }
    });
    let ended = ended.await;
    part.say(format!("ended {ended:?}"));
}

/// Holds two locks and comes to no end.
pub(crate) async fn holds_locks(part: Part) {
    let lock = part.connect().await.lock_all(["a", "b"]).lease(secs(2));
    let guard = lock.acquire().await.unwrap();
    part.say(guard.fencing_token());
    guard.lost().await;
    part.say("lost");
}
