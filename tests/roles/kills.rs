//! Processes that work as fast as they can until they are killed.

use std::fs::{File, read_to_string, rename, write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oncely::{Coordinator, Error, ErrorKind, OnInterrupted};
use oncely_tests::processes::kills::{self, Effect};
use oncely_tests::processes::{Part, append};
use oncely_tests::{ms, secs};
use tokio::task::JoinSet;

/// Makes new calls and repeats those of the lives before this one, several at a time, for ever.
pub(crate) async fn calls_for_ever(part: Part) {
    let (life, oncely) = (part.argument.parse::<usize>().unwrap(), part.connect().await);
    let fresh = Arc::new(AtomicUsize::new(0));
    part.say("ready");
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (part, oncely, fresh) = (part.clone(), oncely.clone(), Arc::clone(&fresh));
        tasks.spawn(async move {
            loop {
                let number = fresh.fetch_add(1, Ordering::Relaxed);
                call(&part, &oncely, &kills::key(life, number)).await;
                let (earlier, number) = (life.saturating_sub(fastrand::usize(..12)), number + 1);
                call(&part, &oncely, &kills::key(earlier, fastrand::usize(..number))).await;
            }
        });
    }
    let ended: Option<Result<(), _>> = tasks.join_next().await;
    panic!("a task ended: {ended:?}");
}

async fn call(part: &Part, oncely: &Coordinator, key: &str) {
    append(&part.folder.join(kills::CALLS), key);
    let call = kills::call(oncely, key).wait(secs(0)).run(|call| async move {
        let effect =
            Effect { key: key.to_owned(), token: call.fencing_token(), attempt: call.attempt() };
        part.effect(&effect);
        // Every third body has an await in its middle.
        if effect.token.is_multiple_of(3) {
            tokio::time::sleep(ms(1)).await;
        }
        Ok::<_, Error>(effect.token)
    });
    match call.await {
        Ok(outcome) if outcome.is_replayed() => {
            let replay = format!("{key} {}", outcome.into_value());
            append(&part.folder.join(kills::REPLAYS), replay);
        }
        Ok(_) => {}
        Err(error) => match error.kind() {
            ErrorKind::InProgress | ErrorKind::LeaseLost => {}
            ErrorKind::Interrupted if kills::choice(key) == OnInterrupted::Hold => {}
            _ => panic!("{error}"),
        },
    }
}

/// Adds one to a number in a file for ever, under a lock, and notes each step.
pub(crate) async fn adds_for_ever(part: Part) {
    let (name, oncely) = (&part.argument, part.connect().await);
    let (number, steps) = (part.folder.join(kills::NUMBER), part.folder.join(kills::STEPS));
    part.say("ready");
    loop {
        let lock = oncely.lock("number").lease(secs(1)).wait(secs(60));
        let added = lock.run(|call| {
            let (part, number, steps) = (&part, &number, &steps);
            async move {
                let token = call.fencing_token();
                // Fails if the token was given before.
                File::create_new(part.folder.join(format!("inside-{token}"))).unwrap();
                let found = read_to_string(number).map_or(0, |text| text.parse::<u64>().unwrap());
                append(steps, format!("enter {name} {token} {found}"));
                // Long enough to be killed in; without an await, so that only a kill stops it.
                std::thread::sleep(ms(2));
                let draft = part.folder.join(format!("draft-{token}"));
                write(&draft, (found + 1).to_string()).unwrap();
                rename(&draft, number).unwrap();
                append(steps, format!("leave {name} {token} {}", found + 1));
                Ok::<_, Error>(())
            }
        });
        match added.await {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::LeaseLost, "{error}"),
        }
    }
}
