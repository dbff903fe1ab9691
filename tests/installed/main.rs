//! The coordinator of the process: one test, because there is one process.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

use oncely::__private::{Operation, idempotent, installed, lock};
use oncely::{Coordinator, Error, ErrorKind, Idempotent, Lock};
use oncely_tests::Counter;

/// What `#[idempotent]` makes of a function without a coordinator of its own.
fn call() -> Idempotent {
    idempotent(installed(), Operation::named("pay"), None).fingerprint(&42)
}

/// What `#[with_lock]` makes of one.
fn locked() -> Lock {
    lock(installed(), &[&[oncely::__private::Piece::Text("order")]])
}

async fn run(call: Idempotent, ran: &Counter) -> Result<usize, Error> {
    let body = |_| std::future::ready(Ok::<_, Error>(ran.up()));
    call.run(body).await.map(oncely::Outcome::into_value)
}

#[tokio::test]
async fn calls_go_through_the_scoped_coordinator_then_the_installed_one_or_nowhere() {
    let ran = Counter::default();
    let first = Coordinator::connect("memory:").await.unwrap();
    let second = Coordinator::connect("memory:").await.unwrap();

    // Nothing installed: refused, and not run unprotected.
    assert_eq!(run(call(), &ran).await.unwrap_err().kind(), ErrorKind::NotInstalled);
    let refused = call().run_detached(|_| std::future::ready(Ok::<u8, Error>(0))).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotInstalled);
    let refused = call().resolve_as_not_run().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotInstalled);
    let refused = locked().run(|_| std::future::ready(Ok::<_, Error>(ran.up()))).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotInstalled);
    assert_eq!(locked().acquire().await.unwrap_err().kind(), ErrorKind::NotInstalled);
    assert!(!refused_is_retryable().await);
    assert_eq!(ran.count(), 0);

    // Scoped, without anything installed.
    assert_eq!(second.scope(async { run(call(), &ran).await }).await.unwrap(), 1);
    assert_eq!(run(call(), &ran).await.unwrap_err().kind(), ErrorKind::NotInstalled);

    // Installed: once, and the first stays.
    first.install().unwrap();
    assert_eq!(run(call(), &ran).await.unwrap(), 2);
    assert_eq!(second.install().unwrap_err().kind(), ErrorKind::AlreadyInstalled);
    assert_eq!(first.install().unwrap_err().kind(), ErrorKind::AlreadyInstalled);
    assert_eq!(run(call(), &ran).await.unwrap(), 2);

    // The scoped one goes before it, also from within a detached call, but not into another task.
    assert_eq!(second.scope(async { run(call(), &ran).await }).await.unwrap(), 1);
    let inherited = second.scope(async {
        let ran = ran.clone();
        let outer = idempotent(installed(), Operation::named("outer"), None).fingerprint(&1);
        outer.run_detached(move |_| async move { run(call(), &ran).await }).await
    });
    assert_eq!(inherited.await.unwrap().into_value(), 1);
    let spawned = second.scope(async {
        let ran = ran.clone();
        tokio::spawn(async move { run(call(), &ran).await }).await.unwrap()
    });
    assert_eq!(spawned.await.unwrap(), 2);

    // The inner scope goes before the outer one, and ends.
    let nested = first.scope(async {
        let inner = second.scope(async { run(call(), &ran).await }).await.unwrap();
        (inner, run(call(), &ran).await.unwrap())
    });
    assert_eq!(nested.await, (1, 2));
    assert_eq!(ran.count(), 2);
}

async fn refused_is_retryable() -> bool {
    locked().acquire().await.unwrap_err().is_retryable()
}
