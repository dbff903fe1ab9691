//! Processes that work on while somebody takes over from them.

use oncely::{Call, Error};
use oncely_tests::ms;
use oncely_tests::processes::{Part, pay};
use tokio::time::sleep;

const STEPS: usize = 6_000;

/// Has an effect every few milliseconds, for a minute.
pub(crate) async fn works_on_and_on(part: Part) {
    works(&part, async |call: Call| {
        part.effect("stale");
        part.say(call.fencing_token());
        for _ in 0..STEPS {
            sleep(ms(10)).await;
            part.effect("stale");
        }
        Ok(0)
    })
    .await;
}

/// Works without an await until a file says so, and gives a value of its own.
pub(crate) async fn works_without_an_await(part: Part) {
    works(&part, async |call: Call| {
        part.say(call.fencing_token());
        for _ in 0..STEPS {
            if part.folder.join("finish").exists() {
                break;
            }
            std::thread::sleep(ms(10));
        }
        Ok(0)
    })
    .await;
}

async fn works(part: &Part, body: impl AsyncFnOnce(Call) -> Result<u64, Error>) {
    let ended = pay(&part.connect().await).run(async |call| body(call).await).await;
    part.say(format!("ended {:?}", ended.map_err(|error| error.kind())));
}
