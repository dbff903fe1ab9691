//! Answers of a database server that are lost with their connection.

use std::path::Path;

use oncely::store::sql::mysql::MySqlStore;
use oncely::store::sql::postgres::PostgresStore;
use oncely::store::{Acquired, Key, Lease, LeaseRequest, Store, Update, Updated};
use oncely_tests::mysql::MySqlServer;
use oncely_tests::postgres::PostgresServer;
use oncely_tests::proxy::Proxy;
use oncely_tests::{secs, soon};

/// Waits until the key is free.
async fn take(store: &dyn Store) -> Lease {
    let requests = [LeaseRequest::new(Key::lock("lost", "key").unwrap(), secs(60))];
    loop {
        if let Acquired::Leases(mut leases) = store.acquire(&requests).await.unwrap() {
            return leases.pop().unwrap();
        }
    }
}

/// Gives a key back through a proxy that loses the answer. Before that can be asked for again, the next
/// holder is there.
async fn give_back(end: Update, proxy: &Proxy, near: &dyn Store, far: &dyn Store) {
    // The server knows the statements then.
    for _ in 0..2 {
        let lease = take(far).await;
        assert_eq!(far.update(&[(lease, end.clone())]).await.unwrap(), [Updated::Applied]);
    }
    let (updates, lost) = ([(take(far).await, end)], proxy.lost_answers());
    proxy.lose_next_answer();
    proxy.shut();
    let next = async {
        let next = take(near).await;
        proxy.open();
        next
    };
    let (answer, next) = soon(async { tokio::join!(far.update(&updates), next) }).await;
    assert_eq!(proxy.lost_answers(), lost + 1);
    assert_eq!(answer.unwrap(), [Updated::Applied], "{updates:?}");
    assert_eq!(near.update(&[(next, Update::Release)]).await.unwrap(), [Updated::Applied]);
}

/// The same URL, with another folder in it.
fn moved(url: &str, from: &Path, to: &Path) -> String {
    url.replace(from.to_str().unwrap(), to.to_str().unwrap())
}

#[tokio::test]
async fn what_was_given_back_to_postgres_is_not_lost_when_the_answer_is() {
    let server = PostgresServer::shared();
    let proxy = Proxy::to(&server.folder().join(".s.PGSQL.5432"));
    let url = server.schema().await;
    let near = PostgresStore::connect(&url).await.unwrap();
    for end in [Update::Release, Update::Interrupt] {
        let far = PostgresStore::connect(&moved(&url, server.folder(), proxy.folder())).await;
        give_back(end, &proxy, &near, &far.unwrap()).await;
    }
}

#[tokio::test]
async fn what_was_given_back_to_mysql_is_not_lost_when_the_answer_is() {
    let server = MySqlServer::shared();
    let proxy = Proxy::to(&server.folder().join("mysql.sock"));
    let url = server.database().await;
    let near = MySqlStore::connect(&url).await.unwrap();
    for end in [Update::Release, Update::Interrupt] {
        let far = MySqlStore::connect(&moved(&url, server.folder(), proxy.folder())).await;
        give_back(end, &proxy, &near, &far.unwrap()).await;
    }
}
