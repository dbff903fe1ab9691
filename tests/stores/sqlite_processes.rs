//! Several processes on one file.

use std::process::{Command, Stdio};
use std::time::Duration;

use oncely::store::sql::sqlite::SqliteStore;
use oncely::store::{Acquired, Key, LeaseRequest, Store, Update, Updated};

const URL: &str = "ONCELY_TEST_SQLITE_URL";
const PROCESSES: usize = 4;
const ROUNDS: usize = 25;

/// Runs this binary again, as several processes that open a new file at once and pass one lock
/// around. Each prints the tokens it got.
#[test]
fn processes_that_start_together_share_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/records.db", folder.path().display());
    let children: Vec<_> = (0..PROCESSES)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "sqlite_processes::child", "--ignored", "--nocapture"])
                .env(URL, &url)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut tokens = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let own: Vec<u64> = text
            .lines()
            .filter_map(|line| line.strip_prefix("token "))
            .map(|token| token.parse().unwrap())
            .collect();
        assert!(own.is_sorted(), "tokens fell: {own:?}");
        tokens.extend(own);
    }
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), PROCESSES * ROUNDS, "tokens were given twice");
}

#[tokio::test]
#[ignore = "run by `processes_that_start_together_share_one_file`"]
async fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let folder = std::path::Path::new(url.trim_start_matches("sqlite://")).parent().unwrap();
    let inside = folder.join("inside");
    let store = SqliteStore::connect(&url).await.unwrap();
    for _ in 0..ROUNDS {
        let key = Key::lock("processes", "key").unwrap();
        let request = [LeaseRequest::new(key, Duration::from_secs(60))];
        let lease = loop {
            match store.acquire(&request).await.unwrap() {
                Acquired::Leases(mut leases) => break leases.pop().unwrap(),
                Acquired::Occupied(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        // Fails if another process is inside.
        std::fs::File::create_new(&inside).unwrap();
        println!("\ntoken {}", lease.token.value());
        std::fs::remove_file(&inside).unwrap();
        let answers = store.update(&[(lease, Update::Release)]).await.unwrap();
        assert_eq!(answers, [Updated::Applied]);
    }
}
