//! Shapes of functions: each keeps its meaning under the attributes.
//!
//! Every test calls a function twice or against a held lock, and compares what the body saw, the
//! key among it, with what it should have seen.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod arguments;
mod async_traits;
mod bodies;
mod companions;
mod generics;
mod macros;
mod methods;
mod names;
mod returns;
mod strict;

use std::cell::RefCell;
use std::fmt::{Debug, Display};

use oncely::{Coordinator, Error, ErrorKind};

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// A body tells what it saw: under which key it runs, and its arguments. Every test has a thread
/// of its own.
fn saw(arguments: impl Display) {
    let call = oncely::current().unwrap();
    SEEN.with_borrow_mut(|seen| seen.push(format!("{} | {arguments}", call.key())));
}

fn seen() -> Vec<String> {
    SEEN.take()
}

/// An error of a user, which carries refusals.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Refused(#[from] Error),
    #[error(transparent)]
    Number(#[from] std::num::ParseIntError),
}

/// Runs `test` under a coordinator of its own.
async fn alone<T>(test: impl Future<Output = T>) -> T {
    Coordinator::connect("memory:").await.unwrap().scope(test).await
}

/// Two calls give `expected`, and the body runs for the first.
async fn replays<T, E>(mut call: impl AsyncFnMut() -> Result<T, E>, expected: T, body_saw: &str)
where
    T: PartialEq + Debug,
    E: Debug,
{
    alone(async {
        assert_eq!(call().await.unwrap(), expected, "the first call");
        assert_eq!(call().await.unwrap(), expected, "the second call");
    })
    .await;
    assert_eq!(seen(), [body_saw]);
}

/// While somebody holds the lock on `key` the call is refused and its body does not run; then it
/// gives `expected`. The function waits for `"0s"`.
async fn excludes<T, E>(
    key: &str,
    mut call: impl AsyncFnMut() -> Result<T, E>,
    expected: T,
    body_saw: &str,
) where
    T: PartialEq + Debug,
    E: Debug + Into<Failure>,
{
    let oncely = Coordinator::connect("memory:").await.unwrap();
    let held = oncely.lock(key).acquire().await.unwrap();
    oncely
        .scope(async {
            match call().await.map_err(Into::into) {
                Err(Failure::Refused(error)) => assert_eq!(error.kind(), ErrorKind::LockBusy),
                other => panic!("the lock on {key} does not exclude: {other:?}"),
            }
            assert!(seen().is_empty());
            held.release().await.unwrap();
            assert_eq!(call().await.unwrap(), expected);
        })
        .await;
    assert_eq!(seen(), [body_saw]);
}
