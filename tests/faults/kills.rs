//! Processes that are killed at moments nobody chose: in the middle of an acquire, of a body, of a
//! completion, of a release.

use std::collections::{BTreeMap, BTreeSet};

use oncely::{Error, ErrorKind, OnInterrupted};
use oncely_tests::processes::kills::{self, Effect};
use oncely_tests::processes::{append, lines};
use oncely_tests::{ms, secs};
use sqlx::{Connection, SqliteConnection};
use tokio::time::{Instant, sleep};

use crate::child::{Child, Folder};

const LIVES: usize = 60;

#[tokio::test]
async fn whenever_a_process_is_killed_records_and_effects_agree() {
    let (folder, began) = (Folder::new(), Instant::now());
    let mut lives = 0;
    while lives < LIVES && began.elapsed() < secs(12) {
        let mut child = Child::play("calls_for_ever", &lives.to_string(), &folder);
        assert_eq!(child.hears().await.unwrap(), "ready");
        sleep(ms(fastrand::u64(1..120))).await;
        child.kill().await;
        lives += 1;
    }
    assert!(lives >= 20, "{lives} lives in {:?}", began.elapsed());
    // The leases of the last one end.
    sleep(ms(600)).await;
    is_whole(&folder).await;

    let effects = effects_of_each_key(&folder);
    repetitions_are_known(&effects);
    let mut replays: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines(&folder.path().join(kills::REPLAYS)) {
        let (key, value) = line.split_once(' ').unwrap();
        let value = value.parse().unwrap();
        assert_eq!(*replays.entry(key.to_owned()).or_insert(value), value, "{key} changed");
    }
    let (mut completed, mut held_back, mut rerun) = (0, 0, 0);
    let oncely = folder.coordinator().await;
    for key in lines(&folder.path().join(kills::CALLS)).into_iter().collect::<BTreeSet<_>>() {
        let own = effects.get(&key).map(Vec::as_slice).unwrap_or_default();
        match ending(&oncely, &key).await {
            Ending::Replayed(value) => {
                completed += 1;
                // The last to begin has completed it: nobody may begin after that.
                assert_eq!(own.last().map(|effect| effect.token), Some(value), "{key}: {own:?}");
                assert_eq!(*replays.get(&key).unwrap_or(&value), value, "{key} changed");
            }
            Ending::HeldBack => held_back += 1,
            Ending::Ran { attempt, token } => {
                rerun += usize::from(attempt > 1);
                assert!(own.iter().all(|effect| effect.token < token), "{key}: {own:?}");
                assert!(own.is_empty() || attempt > 1, "{key}: {own:?}, then attempt {attempt}");
                assert!(!replays.contains_key(&key), "{key} had completed");
            }
        }
    }
    let interrupted = held_back + rerun + repeated(&effects);
    assert!(completed > lives && interrupted > 5, "{completed} completed, {interrupted} not");
}

/// What the next call with a key finds.
enum Ending {
    Replayed(u64),
    /// It was held back, and could be resolved and run then.
    HeldBack,
    Ran {
        attempt: u32,
        token: u64,
    },
}

async fn ending(oncely: &oncely::Coordinator, key: &str) -> Ending {
    let again = || {
        kills::call(oncely, key).run(|call| async move {
            Ok::<_, Error>(u64::from(call.attempt()) << 53 | call.fencing_token())
        })
    };
    match again().await {
        Ok(outcome) if outcome.is_replayed() => Ending::Replayed(outcome.into_value()),
        Ok(outcome) => {
            let value = outcome.into_value();
            Ending::Ran { attempt: (value >> 53) as u32, token: value & ((1 << 53) - 1) }
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{key}: {error}");
            assert_eq!(kills::choice(key), OnInterrupted::Hold, "{key} is held back");
            assert!(kills::call(oncely, key).resolve_as_not_run().await.unwrap());
            assert!(!again().await.unwrap().is_replayed());
            Ending::HeldBack
        }
    }
}

fn effects_of_each_key(folder: &Folder) -> BTreeMap<String, Vec<Effect>> {
    let mut effects: BTreeMap<String, Vec<Effect>> = BTreeMap::new();
    for line in folder.effects() {
        let effect = Effect::parse(&line);
        effects.entry(effect.key.clone()).or_default().push(effect);
    }
    effects
}

fn repeated(effects: &BTreeMap<String, Vec<Effect>>) -> usize {
    effects.values().map(|own| own.len() - 1).sum()
}

fn repetitions_are_known(effects: &BTreeMap<String, Vec<Effect>>) {
    for (key, own) in effects {
        assert!(own.is_sorted_by(|one, next| one.token < next.token), "tokens fell: {own:?}");
        assert!(own.is_sorted_by(|one, next| one.attempt < next.attempt), "{own:?}");
        if kills::choice(key) == OnInterrupted::Hold {
            assert_eq!(own.len(), 1, "ran twice: {own:?}");
        }
    }
}

async fn is_whole(folder: &Folder) {
    let url = oncely_tests::processes::url(folder.path());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let check = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection);
    let found: String = check.await.unwrap();
    assert_eq!(found, "ok");
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_number_under_a_lock_loses_nothing_to_a_process_that_is_killed() {
    let (folder, began) = (Folder::new(), Instant::now());
    let steps = folder.path().join(kills::STEPS);
    let steady = Child::play("adds_for_ever", "steady", &folder);
    let mut lives = 0;
    while lives < LIVES && began.elapsed() < secs(10) {
        let name = format!("life-{lives}");
        let mut child = Child::play("adds_for_ever", &name, &folder);
        assert_eq!(child.hears().await.unwrap(), "ready");
        sleep(ms(fastrand::u64(1..150))).await;
        append(&steps, format!("kill {name} 0 0"));
        child.kill().await;
        lives += 1;
    }
    append(&steps, "kill steady 0 0");
    steady.kill().await;

    let (mut inside, mut last) = (None::<(String, u64, u64)>, 0_u64);
    let (mut number, mut added, mut killed, mut died_inside) = (0, 0, BTreeSet::new(), 0);
    for line in lines(&steps) {
        let words: Vec<_> = line.split(' ').collect();
        let [step, name, token, found] = words[..] else { panic!("half a line: {line}") };
        let (token, found) = (token.parse::<u64>().unwrap(), found.parse::<u64>().unwrap());
        match step {
            "enter" => {
                assert!(token > last, "{line} after {last}");
                last = token;
                match inside.take() {
                    None => assert_eq!(found, number, "{line}: lost an update"),
                    // Its number may have been written, or not.
                    Some((other, _, begun)) => {
                        assert!(killed.contains(&other), "{line} while {other} is inside");
                        assert!([begun, begun + 1].contains(&found), "{line} after {begun}");
                        died_inside += 1;
                    }
                }
                inside = Some((name.to_owned(), token, found));
            }
            "leave" => {
                let entered = inside.take().map(|(name, token, _)| (name, token));
                assert_eq!(entered, Some((name.to_owned(), token)), "{line}");
                (number, added) = (found, added + 1);
            }
            "kill" => {
                killed.insert(name.to_owned());
            }
            _ => panic!("{line}"),
        }
    }
    assert!(added > 0 && lives >= 10, "{added} in {lives} lives");
    let lost = number - added;
    assert!(lost <= died_inside, "{number} after {added} additions and {died_inside} crashes");
}
