//! A process that makes its share of many calls.

use oncely::Error;
use oncely_tests::processes::Part;
use oncely_tests::processes::storm::{TASKS, calls_of};
use oncely_tests::{ms, secs};
use tokio::time::sleep;

/// Makes its share of the calls, on eight tasks, and says what each gave.
pub(crate) async fn makes_many_calls(part: Part) {
    let (share, oncely) = (part.argument.parse::<usize>().unwrap(), part.connect().await);
    part.say("ready");
    while !part.folder.join("go").exists() {
        sleep(ms(1)).await;
    }
    let tasks = (0..TASKS).map(|task| {
        let (part, oncely) = (part.clone(), oncely.clone());
        tokio::spawn(async move {
            for (number, key) in calls_of(share * TASKS + task) {
                let call = oncely.idempotent("pay", key.to_string()).wait(secs(50));
                let part = &part;
                let outcome = call.run(|call| async move {
                    part.effect(key);
                    assert_eq!(call.attempt(), 1);
                    Ok::<_, Error>(format!("value-of-call-{number}"))
                });
                part.say(format!("{key} {}", outcome.await.unwrap().into_value()));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    part.say("done");
}
