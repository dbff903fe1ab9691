//! What the tests of the Redis store share.

use std::time::Duration;

use oncely::store::redis::RedisStore;
use oncely::store::{
    Acquired, Key, Lease, LeaseRequest, Occupant, RecordState, Store, StoredOutcome, Update,
    Updated,
};
use oncely_tests::redis::RedisServer;

pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn key(name: &str) -> Key {
    Key::lock("redis", name).unwrap()
}

pub(crate) fn request(name: &str) -> LeaseRequest {
    LeaseRequest::new(key(name), LONG)
}

pub(crate) async fn open(url: &str) -> RedisStore {
    RedisStore::connect(url).await.unwrap()
}

pub(crate) async fn take(store: &dyn Store, request: &LeaseRequest) -> Lease {
    match store.acquire(std::slice::from_ref(request)).await.unwrap() {
        Acquired::Leases(mut leases) => leases.pop().unwrap(),
        Acquired::Occupied(occupant) => panic!("{occupant:?}"),
    }
}

/// What another attempt is told of the key.
pub(crate) async fn met(store: &dyn Store, name: &str) -> Occupant {
    match store.acquire(&[request(name)]).await.unwrap() {
        Acquired::Occupied(occupant) => occupant,
        Acquired::Leases(leases) => panic!("{leases:?}"),
    }
}

pub(crate) async fn update(store: &dyn Store, lease: &Lease, update: Update) -> Updated {
    store.update(&[(lease.clone(), update)]).await.unwrap()[0]
}

pub(crate) fn renew() -> Update {
    Update::Renew { lease: LONG }
}

pub(crate) fn complete(outcome: &[u8]) -> Update {
    Update::Complete { outcome: StoredOutcome::Value(outcome.into()), retention: LONG }
}

pub(crate) fn every_update() -> [Update; 4] {
    [renew(), complete(b"outcome"), Update::Release, Update::Interrupt]
}

pub(crate) fn outcome(occupant: Occupant) -> StoredOutcome {
    match occupant.state {
        RecordState::Completed { outcome, .. } => outcome,
        _ => panic!("{occupant:?}"),
    }
}

/// How often the server was asked for this.
pub(crate) fn calls(server: &RedisServer, command: &str) -> usize {
    let stats: String = server.ask(&["INFO", "commandstats"]);
    let prefix = format!("cmdstat_{command}:calls=");
    let count = stats.lines().find_map(|line| line.strip_prefix(&prefix)?.split(',').next());
    count.map_or(0, |count| count.parse().unwrap())
}
