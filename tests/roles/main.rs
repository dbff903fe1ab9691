//! The processes that tests start, stop and kill: `role NAME FOLDER ARGUMENT` plays one role.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod crashes;
mod kills;
mod pauses;
mod stores;
mod storm;
mod transactions;
mod waiters;

use std::process::ExitCode;

use oncely_tests::processes::Part;

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let (role, folder, argument) = (next(), next(), next());
    let part = Part { folder: folder.into(), argument };
    match role.as_str() {
        "begins" => crashes::begins(part).await,
        "holds_locks" => crashes::holds_locks(part).await,
        "works_on_and_on" => pauses::works_on_and_on(part).await,
        "works_without_an_await" => pauses::works_without_an_await(part).await,
        "calls_for_ever" => kills::calls_for_ever(part).await,
        "adds_for_ever" => kills::adds_for_ever(part).await,
        "makes_many_calls" => storm::makes_many_calls(part).await,
        "pays_in_a_transaction" => transactions::pays_in_a_transaction(part).await,
        "passes_a_lock_around" => stores::passes_a_lock_around(part).await,
        "waits_in_line" => waiters::waits_in_line(part).await,
        unknown => {
            eprintln!("no role is named `{unknown}`");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
