//! Many calls of few keys from several processes at once.

use std::collections::BTreeMap;

use oncely_tests::processes::storm::{CALLS, KEYS, PROCESSES};

use crate::child::{Child, Folder};

#[tokio::test]
async fn every_body_runs_once_and_every_duplicate_gets_its_value() {
    let folder = Folder::new();
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|share| Child::play("makes_many_calls", &share.to_string(), &folder))
        .collect();
    for child in &mut children {
        assert_eq!(child.hears().await.unwrap(), "ready");
    }
    std::fs::write(folder.path().join("go"), "").unwrap();

    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for child in &mut children {
        let done = loop {
            let Some(said) = child.hears().await else { break false };
            let Some((key, value)) = said.split_once(' ') else { break said == "done" };
            values.entry(key.to_owned()).or_default().push(value.to_owned());
        };
        assert!(done, "a process failed");
    }
    assert_eq!(values.values().map(Vec::len).sum::<usize>(), CALLS);
    assert_eq!(values.len(), KEYS);
    for (key, values) in &values {
        assert!(values.iter().all(|value| value == &values[0]), "key {key} gave {values:?}");
    }
    let mut effects = folder.effects();
    effects.sort_unstable();
    effects.dedup();
    assert_eq!(effects.len(), KEYS, "every key has had its effect");
    assert_eq!(folder.effects().len(), KEYS, "and had it once");
}
