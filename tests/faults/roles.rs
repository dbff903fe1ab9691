//! What the processes do. Each role is a test that does nothing unless it is given a cue.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use oncely::{Coordinator, Error, Idempotent, OnInterrupted};
use oncely_tests::{ms, secs};
use tokio::time::sleep;

use crate::child::{connect, cue, say};

/// The call that the tests are about.
pub(crate) fn pay(oncely: &Coordinator) -> Idempotent {
    oncely.idempotent("pay", "42").lease(secs(2)).wait(secs(30))
}

/// One effect on the world: a line, whole or not at all.
pub(crate) fn effect(folder: &Path, line: &str) {
    let effects = folder.join("effects");
    let mut effects = OpenOptions::new().create(true).append(true).open(effects).unwrap();
    effects.write_all(format!("{line}\n").as_bytes()).unwrap();
    effects.sync_all().unwrap();
}

/// Begins the call and comes to no end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a role for the tests of crashes"]
async fn begins() {
    let Some((folder, choice)) = cue() else { return };
    let choice = if choice == "hold" { OnInterrupted::Hold } else { OnInterrupted::Rerun };
    let call = pay(&connect(&folder).await).on_interrupted(choice);
    let ended = call.run(|call| async move {
        effect(&folder, "begun");
        say(call.fencing_token());
        std::future::pending::<Result<u64, Error>>().await
    });
    say(format!("ended {:?}", ended.await));
}

/// Holds a lock and comes to no end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a role for the tests of crashes"]
async fn locks() {
    let Some((folder, _)) = cue() else { return };
    let lock = connect(&folder).await.lock_all(["a", "b"]).lease(secs(2));
    let guard = lock.acquire().await.unwrap();
    say(guard.fencing_token());
    guard.lost().await;
    say("lost");
}

/// Has an effect every few milliseconds, for a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a role for the tests of pauses"]
async fn works_on_and_on() {
    let Some((folder, _)) = cue() else { return };
    let ended = pay(&connect(&folder).await).run(|call| async move {
        say(call.fencing_token());
        for _ in 0..6_000 {
            effect(&folder, "stale");
            sleep(ms(10)).await;
        }
        Ok::<_, Error>(0_u64)
    });
    say(format!("ended {:?}", ended.await.map_err(|error| error.kind())));
}

/// Works without an await until a file says so, and gives a value of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a role for the tests of pauses"]
async fn works_without_an_await() {
    let Some((folder, _)) = cue() else { return };
    let ended = pay(&connect(&folder).await).run(|call| async move {
        say(call.fencing_token());
        for _ in 0..6_000 {
            if folder.join("finish").exists() {
                break;
            }
            std::thread::sleep(ms(10));
        }
        Ok::<_, Error>(0_u64)
    });
    say(format!("ended {:?}", ended.await.map_err(|error| error.kind())));
}

/// Makes its share of the calls, on eight tasks, and says what each gave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a role for the storm"]
async fn makes_many_calls() {
    let Some((folder, share)) = cue() else { return };
    let (share, oncely) = (share.parse::<usize>().unwrap(), connect(&folder).await);
    say("ready");
    while !folder.join("go").exists() {
        sleep(ms(1)).await;
    }
    let tasks = (0..crate::storm::TASKS).map(|task| {
        let (folder, oncely) = (folder.clone(), oncely.clone());
        let worker = share * crate::storm::TASKS + task;
        tokio::spawn(async move {
            for (number, key) in crate::storm::calls_of(worker) {
                let call = oncely.idempotent("pay", key.to_string()).wait(secs(50));
                let folder = &folder;
                let outcome = call.run(|call| async move {
                    effect(folder, &format!("{key}"));
                    assert_eq!(call.attempt(), 1);
                    Ok::<_, Error>(format!("value-of-call-{number}"))
                });
                say(format!("{key} {}", outcome.await.unwrap().into_value()));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    say("done");
}
