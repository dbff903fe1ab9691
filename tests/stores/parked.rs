//! Callers that were polled and then left alone keep nobody else from the store.

use std::future::poll_fn;
use std::task::Poll;

use oncely::store::{Acquired, BoxFuture, Key, LeaseRequest, Store, StoreError};
use oncely_tests::sqlite::SqliteFixture;
use oncely_tests::{secs, soon};

type Acquire<'a> = BoxFuture<'a, Result<Acquired, StoreError>>;

fn request(name: &str) -> [LeaseRequest; 1] {
    [LeaseRequest::new(Key::lock("parked", name).unwrap(), secs(60))]
}

/// Polls it once.
async fn begin(caller: &mut Acquire<'_>) {
    let _ = poll_fn(|context| Poll::Ready(caller.as_mut().poll(context))).await;
}

#[tokio::test]
async fn callers_who_look_at_a_file_keep_nobody_from_it() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    store.acquire(&request("held")).await.unwrap();
    let rivals = [(); 8].map(|()| request("held"));
    let mut parked = rivals.each_ref().map(|rival| store.acquire(rival));
    for caller in &mut parked {
        begin(caller).await;
    }
    for round in 0..8 {
        let met = soon(store.acquire(&request("held"))).await.unwrap();
        assert!(matches!(met, Acquired::Occupied(_)), "{met:?}");
        let free = soon(store.acquire(&request(&round.to_string()))).await.unwrap();
        assert!(matches!(free, Acquired::Leases(_)), "{free:?}");
    }
    // They find their answers when somebody polls them again.
    for caller in parked {
        assert!(matches!(soon(caller).await.unwrap(), Acquired::Occupied(_)));
    }
}
