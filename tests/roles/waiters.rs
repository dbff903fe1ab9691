//! Processes that wait for a key in a server.

use oncely::Coordinator;
use oncely_tests::processes::Part;
use oncely_tests::secs;

/// Waits for a lock in the server that the argument names, says its token, and gives it back when
/// a file says so.
pub(crate) async fn waits_in_line(part: Part) {
    let oncely = Coordinator::connect(&part.argument).await.unwrap();
    let lock = oncely.lock("order").lease(secs(1)).wait(secs(60));
    let guard = lock.acquire().await.unwrap();
    part.say(guard.fencing_token());
    while !part.folder.join("finish").exists() {
        tokio::time::sleep(oncely_tests::ms(5)).await;
    }
    guard.release().await.unwrap();
}
