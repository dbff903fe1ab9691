//! Bodies: `?`, early returns, blocks and closures inside, recursion, and bodies that stay on
//! their thread.

use std::fmt::Debug;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oncely::store::memory::MemoryStore;
use oncely::store::{Key, LeaseRequest, Store};
use oncely::{Coordinator, Error, idempotent, with_lock};
use tokio::task::{LocalSet, spawn_local};

use crate::{Failure, alone, excludes, replays, saw, seen};

#[idempotent(key = "<text>")]
async fn question_mark(text: &str) -> Result<u64, Failure> {
    saw(text);
    let number: u64 = text.parse()?;
    Ok(number)
}

#[tokio::test]
async fn a_question_mark_leaves_the_body() {
    replays(async || question_mark("7").await, 7, "7 | 7").await;
    let failed = alone(question_mark("x")).await;
    assert!(matches!(failed, Err(Failure::Number(_))));
    assert_eq!(seen(), ["x | x"]);
}

#[idempotent(key = "<order>")]
async fn early(order: u64) -> Result<u64, Error> {
    saw(order);
    if order > 5 {
        return Ok(5);
    }
    for number in 0.. {
        if number * number > order {
            return Ok(number);
        }
    }
    unreachable!()
}

#[tokio::test]
async fn an_early_return_is_the_outcome() {
    replays(async || early(7).await, 5, "7 | 7").await;
    replays(async || early(4).await, 3, "4 | 4").await;
}

#[with_lock(key = "<name>", wait = "0s")]
async fn nested(name: String, mut count: u64) -> Result<u64, Error> {
    #[derive(Debug)]
    struct Inside(u64);
    fn item(Inside(number): Inside) -> u64 {
        number
    }
    let add = |more: u64| count + more;
    let sum = async move { item(Inside(add(1))) }.await;
    count = sum;
    let more = async || -> Result<u64, std::num::ParseIntError> { name.parse::<u64>() };
    let parsed = more().await.unwrap_or(3);
    saw(format_args!("{name} {count} {parsed}"));
    Ok(count + parsed)
}

#[tokio::test]
async fn blocks_closures_and_items_inside() {
    excludes("a", async || nested("a".into(), 1).await, 5, "a | a 2 3").await;
}

#[with_lock(key = "<number>", wait = "0s")]
async fn coerced(number: u64) -> Result<Box<dyn Debug + Send>, Error> {
    saw(number);
    if number > 5 {
        return Ok(Box::new("many"));
    }
    Ok(Box::new(number))
}

#[tokio::test]
async fn an_answer_is_coerced_as_in_a_plain_function() {
    let call = async |number| coerced(number).await.map(|it| format!("{it:?}"));
    excludes("7", async || call(7).await, "\"many\"".into(), "7 | 7").await;
    excludes("2", async || call(2).await, "2".into(), "2 | 2").await;
}

#[idempotent(key = "<depth>")]
async fn recursive(depth: u64) -> Result<u64, Error> {
    saw(depth);
    if depth == 0 {
        return Ok(0);
    }
    let below = Box::pin(recursive(depth - 1)).await?;
    Ok(below + depth)
}

#[tokio::test]
async fn a_function_that_calls_itself() {
    alone(async {
        assert_eq!(recursive(3).await.unwrap(), 6);
        assert_eq!(recursive(2).await.unwrap(), 3);
        assert_eq!(recursive(3).await.unwrap(), 6);
    })
    .await;
    assert_eq!(seen(), ["3 | 3", "2 | 2", "1 | 1", "0 | 0"]);
}

#[idempotent(key = "<order>")]
async fn stays_here(order: u64) -> Result<u64, Error> {
    let shared = Rc::new(order);
    let other = Rc::clone(&shared);
    let there = spawn_local(async move { *other }).await.unwrap_or_default();
    saw(format_args!("{there} {}", Rc::strong_count(&shared)));
    Ok(there)
}

#[tokio::test]
async fn a_body_that_stays_on_its_thread() {
    let call = async || stays_here(7).await;
    LocalSet::new().run_until(replays(call, 7, "7 | 7 1")).await;
}

#[idempotent(key = "<order>")]
async fn only_panics(order: u64) -> Result<u64, Error> {
    saw(order);
    panic!("order {order}")
}

#[tokio::test]
#[should_panic(expected = "order 7")]
async fn a_body_without_an_end() {
    let _ = alone(only_panics(7)).await;
}

#[idempotent(key = "<order>", retention = "1h", lease = "5s", max_hold = "1m", wait = "0s")]
#[with_lock(key = "order:<order>")]
async fn other_task(order: u64) -> Result<u64, Error> {
    tokio::task::yield_now().await;
    Ok(order)
}

#[tokio::test]
async fn the_future_can_move_to_another_thread() {
    let oncely = oncely::Coordinator::connect("memory:").await.unwrap();
    assert_eq!(tokio::spawn(oncely.scope(other_task(7))).await.unwrap().unwrap(), 7);
}

/// Tries to take a key when it is dropped, and says whether it could.
struct Takes(Arc<MemoryStore>, Arc<Mutex<Option<bool>>>);

impl Drop for Takes {
    fn drop(&mut self) {
        let key = Key::lock("oncely", "guarded").unwrap();
        let request = LeaseRequest::new(key, Duration::from_secs(1));
        let taken = self.0.at_once().unwrap().acquire_one(&request);
        *self.1.lock().unwrap() = Some(taken.is_ok());
    }
}

#[with_lock(key = "guarded", constant, coordinator = oncely)]
async fn guarded(oncely: &Coordinator, guard: Takes) -> Result<(), Error> {
    let _guard = guard;
    std::future::pending().await
}

/// What a body holds is gone before its key is another's.
#[tokio::test]
async fn a_dropped_body_is_gone_before_its_key_is_free() {
    let (store, could) = (Arc::new(MemoryStore::new()), Arc::default());
    let oncely = Coordinator::new(Arc::clone(&store));
    let guard = Takes(Arc::clone(&store), Arc::clone(&could));
    let call = tokio::time::timeout(Duration::from_millis(20), guarded(&oncely, guard));
    assert!(call.await.is_err());
    assert_eq!(*could.lock().unwrap(), Some(false));
    // It is free now: this guard could have it.
    drop(Takes(store, Arc::clone(&could)));
    assert_eq!(*could.lock().unwrap(), Some(true));
}

const LARGE: usize = 16 * 1024;

#[idempotent(key = "large:<request>", skip(oncely), coordinator = oncely)]
#[with_lock(key = "large:<request>", coordinator = oncely)]
async fn large(oncely: &Coordinator, request: u64) -> Result<u64, Error> {
    let mut room = [0_u8; LARGE];
    tokio::task::yield_now().await;
    room[0] = 1;
    Ok(request + u64::from(std::hint::black_box(room)[0]))
}

/// The steps of a call do not keep room for the body, each for itself.
#[tokio::test]
async fn a_large_body_is_kept_a_few_times_at_most() {
    let oncely = Coordinator::connect("memory:").await.unwrap();
    let call = large(&oncely, 1);
    let size = size_of_val(&call);
    assert!(size < 5 * LARGE, "{size} bytes for a body of {LARGE}");
    assert_eq!(call.await.unwrap(), 2);
}
