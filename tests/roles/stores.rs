//! Processes that use a store without a coordinator.

use std::fs::{File, remove_file};

use oncely::store::sql::sqlite::SqliteStore;
use oncely::store::{Acquired, Key, LeaseRequest, Store, Update, Updated};
use oncely_tests::processes::{Part, passing, url};
use oncely_tests::{ms, secs};
use tokio::time::sleep;

/// Takes one lock many times and says each token.
pub(crate) async fn passes_a_lock_around(part: Part) {
    let inside = part.folder.join("inside");
    let store = SqliteStore::connect(&url(&part.folder)).await.unwrap();
    for _ in 0..passing::ROUNDS {
        let key = Key::lock("processes", "key").unwrap();
        let request = [LeaseRequest::new(key, secs(60))];
        let lease = loop {
            match store.acquire(&request).await.unwrap() {
                Acquired::Leases(mut leases) => break leases.pop().unwrap(),
                Acquired::Occupied(_) => sleep(ms(1)).await,
            }
        };
        // Fails if another process is inside.
        File::create_new(&inside).unwrap();
        part.say(lease.token.value());
        remove_file(&inside).unwrap();
        let answers = store.update(&[(lease, Update::Release)]).await.unwrap();
        assert_eq!(answers, [Updated::Applied]);
    }
}
