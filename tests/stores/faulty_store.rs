//! The store with faults does what a test plans, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use oncely::store::{
    Acquired, Key, LeaseRequest, Store, StoreErrorKind, StoredOutcome, Update, Updated,
};
use oncely::testing::{Call, FaultyStore, Fixture, StoreFault};
use oncely_tests::reference::ReferenceFixture;

const LONG: Duration = Duration::from_secs(60);

async fn faulty() -> FaultyStore {
    FaultyStore::new(ReferenceFixture::new(None).store().await)
}

fn request(name: &str) -> [LeaseRequest; 1] {
    [LeaseRequest::new(Key::lock("faulty", name).unwrap(), LONG)]
}

#[tokio::test]
async fn a_call_that_fails_before_did_nothing_and_one_that_fails_after_did() {
    let store = faulty().await;
    for (name, fault, free) in
        [("before", StoreFault::FailBefore, true), ("after", StoreFault::FailAfter, false)]
    {
        store.once(Call::Acquire, fault);
        let error = store.acquire(&request(name)).await.expect_err(name);
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let next = store.acquire(&request(name)).await.unwrap();
        assert_eq!(matches!(next, Acquired::Leases(_)), free, "{name}: {next:?}");
    }
    assert_eq!((store.count(Call::Acquire), store.round_trips()), (4, 4));
}

#[tokio::test]
async fn faults_find_the_kind_of_update_they_are_planned_for() {
    let store = faulty().await;
    let Acquired::Leases(leases) = store.acquire(&request("key")).await.unwrap() else { panic!() };
    let lease = leases[0].clone();
    store.always(Call::Complete, StoreFault::FailBefore);
    let renew = (lease.clone(), Update::Renew { lease: LONG });
    let complete = Update::Complete { outcome: StoredOutcome::Absent, retention: LONG };
    let complete = (lease, complete);
    assert_eq!(store.update(std::slice::from_ref(&renew)).await.unwrap(), [Updated::Applied]);
    for _ in 0..3 {
        store.update(&[renew.clone(), complete.clone()]).await.expect_err("planned");
    }
    store.heal();
    assert_eq!(store.update(&[complete]).await.unwrap(), [Updated::Applied]);
    assert_eq!((store.count(Call::Renew), store.count(Call::Complete)), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn calls_wait_hang_and_are_waited_for() {
    let store = Arc::new(faulty().await);
    store.once(Call::Acquire, StoreFault::Delay(LONG));
    let started = tokio::time::Instant::now();
    store.acquire(&request("delayed")).await.unwrap();
    assert_eq!(started.elapsed(), LONG);

    store.once(Call::Acquire, StoreFault::HangAfter);
    let copy = Arc::clone(&store);
    let hanging = tokio::spawn(async move { copy.acquire(&request("hanging")).await.is_ok() });
    store.called(Call::Acquire, 2).await;
    tokio::time::sleep(LONG).await;
    assert!(!hanging.is_finished());
    hanging.abort();
    assert!(matches!(store.acquire(&request("hanging")).await.unwrap(), Acquired::Occupied(_)));

    store.down();
    store.acquire(&request("down")).await.expect_err("down");
    store.heal();
    store.acquire(&request("down")).await.unwrap();
}
