//! Callers that were polled and then left alone keep nobody else from the store.

use std::future::poll_fn;
use std::task::Poll;

use oncely::store::sql::postgres::PostgresStore;
use oncely::store::{Acquired, BoxFuture, Key, LeaseRequest, Store};
use oncely_tests::postgres::PostgresFixture;
use oncely_tests::sqlite::SqliteFixture;
use oncely_tests::{ms, secs, soon};

fn request(name: &str) -> [LeaseRequest; 1] {
    [LeaseRequest::new(Key::lock("parked", name).unwrap(), secs(60))]
}

/// Polls each once, and gives those that are not done.
async fn poll_each<'a, T>(futures: Vec<BoxFuture<'a, T>>) -> Vec<BoxFuture<'a, T>> {
    let mut pending = Vec::new();
    for mut future in futures {
        let polled = poll_fn(|context| Poll::Ready(future.as_mut().poll(context)));
        if polled.await.is_pending() {
            pending.push(future);
        }
    }
    pending
}

#[tokio::test]
async fn callers_who_look_at_a_file_keep_nobody_from_it() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    store.acquire(&request("held")).await.unwrap();
    let rivals = [(); 8].map(|()| request("held"));
    let parked = poll_each(rivals.iter().map(|rival| store.acquire(rival)).collect()).await;
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

#[tokio::test]
async fn callers_who_ask_to_be_told_keep_nobody_from_the_connections() {
    let fixture = PostgresFixture::new().await;
    let store = PostgresStore::connect(fixture.url()).await.unwrap().listening();
    let names = std::array::from_fn::<_, 24, _>(|at| format!("held {at}"));
    let (holder, rivals) = (fixture.open().await, names.each_ref().map(|name| request(name)));
    for name in &names {
        holder.acquire(&request(name)).await.unwrap();
    }
    let hints = rivals.iter().map(|[rival]| store.changed(&rival.key)).collect();
    let _hints = poll_each(hints).await;
    let mut parked = rivals.iter().map(|rival| store.acquire(rival)).collect();
    // The first time they ask for the key, and the second time they have its holder told.
    for _ in 0..2 {
        parked = poll_each(parked).await;
        tokio::time::sleep(ms(300)).await;
    }
    for round in 0..8 {
        let free = soon(store.acquire(&request(&round.to_string()))).await.unwrap();
        assert!(matches!(free, Acquired::Leases(_)), "{free:?}");
    }
    drop(parked);
}
