//! Calls that meet on their way to MariaDB share a statement, each for itself.

use std::sync::Arc;

use oncely::Fingerprint;
use oncely::store::{
    Acquired, Key, Lease, LeaseRequest, OnInterrupted, RecordState, Store, StoredOutcome, Token,
    Update, Updated,
};
use oncely_tests::mysql::MySqlFixture;
use oncely_tests::{secs, soon};

const CALLS: usize = 60;

fn request(index: usize) -> LeaseRequest {
    // Keys of any characters, short and long.
    let name = format!("{index}\"'\\\u{e9}\0").repeat(1 + index % 5 * 12);
    let request = LeaseRequest::new(Key::lock("batches", &name).unwrap(), secs(60));
    match index % 3 {
        0 => request,
        1 => request.with_fingerprint(Fingerprint::of(&index).unwrap()),
        _ => request.with_on_interrupted(OnInterrupted::Hold),
    }
}

fn outcome(index: usize) -> StoredOutcome {
    let bytes: Vec<u8> = (0..index * 7).map(|byte| (byte % 256) as u8).collect();
    match index % 4 {
        0 => StoredOutcome::Absent,
        1 => StoredOutcome::Error(bytes.into()),
        _ => StoredOutcome::Value(bytes.into()),
    }
}

/// All at once, so that most of them meet.
async fn acquired(store: &Arc<dyn Store>) -> Vec<Acquired> {
    let mut asked = tokio::task::JoinSet::new();
    for index in 0..CALLS {
        let store = Arc::clone(store);
        asked.spawn(async move { (index, store.acquire(&[request(index)]).await.unwrap()) });
    }
    let mut all = soon(asked.join_all()).await;
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, acquired)| acquired).collect()
}

async fn taken(store: &Arc<dyn Store>) -> Vec<Lease> {
    let all = acquired(store).await.into_iter().map(|acquired| match acquired {
        Acquired::Leases(mut leases) => leases.pop().unwrap(),
        Acquired::Occupied(occupant) => panic!("{occupant:?}"),
    });
    all.collect()
}

fn complete(leases: &[Lease]) -> Vec<(Lease, Update)> {
    let update = |index| Update::Complete { outcome: outcome(index), retention: secs(600) };
    leases.iter().enumerate().map(|(index, lease)| (lease.clone(), update(index))).collect()
}

#[tokio::test]
async fn outcomes_that_are_stored_together_come_back_each_to_its_key() {
    let store: Arc<dyn Store> = Arc::new(MySqlFixture::new().await.open().await);
    let leases = taken(&store).await;
    let done = store.update(&complete(&leases)).await.unwrap();
    assert_eq!(done, [Updated::Applied; CALLS]);
    for (index, acquired) in acquired(&store).await.into_iter().enumerate() {
        let Acquired::Occupied(occupant) = acquired else { panic!("{index} is free") };
        assert_eq!(occupant.token, leases[index].token);
        assert_eq!(occupant.fingerprint, request(index).fingerprint);
        let RecordState::Completed { outcome: found, .. } = occupant.state else {
            panic!("{index} is not completed")
        };
        assert_eq!(found, outcome(index));
    }
}

#[tokio::test]
async fn one_lost_lease_of_a_batch_is_told_and_the_others_are_applied() {
    let store: Arc<dyn Store> = Arc::new(MySqlFixture::new().await.open().await);
    let mut leases = taken(&store).await;
    leases[7].token = Token::new(leases[7].token.value() + 1);
    let renewals: Vec<_> =
        leases.iter().map(|lease| (lease.clone(), Update::Renew { lease: secs(90) })).collect();
    let mut expected = [Updated::Applied; CALLS];
    expected[7] = Updated::Lost;
    assert_eq!(store.update(&renewals).await.unwrap(), expected);
    assert_eq!(store.update(&complete(&leases)).await.unwrap(), expected);
    // Sent again, what was applied stands.
    assert_eq!(store.update(&complete(&leases)).await.unwrap(), expected);
}

#[tokio::test]
async fn what_is_given_back_together_is_taken_together_under_higher_tokens() {
    let store: Arc<dyn Store> = Arc::new(MySqlFixture::new().await.open().await);
    let before = taken(&store).await;
    let back: Vec<_> = before.iter().map(|lease| (lease.clone(), Update::Release)).collect();
    assert_eq!(store.update(&back).await.unwrap(), [Updated::Applied; CALLS]);
    for (before, after) in before.iter().zip(taken(&store).await) {
        assert!(after.token > before.token, "{before:?} {after:?}");
        assert_eq!(after.attempt, 1);
    }
}
