//! One coordinator in several runtimes, each of which may stand still or end at any time.
//!
//! Each runtime runs on one thread, and time is real: a paused clock is a runtime's own.

use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use oncely::testing::{Call, StoreFault};
use oncely::{Coordinator, Error, ErrorKind};
use oncely_tests::events::Events;
use oncely_tests::{Counter, Fixture, Stage, ms, secs, soon};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::{counted, on_stage, pay};

/// A lease that is certainly kept on a loaded machine, and longer than a lease lasts by itself.
const LEASE: Duration = ms(1_400);
const LONG: Duration = ms(2_000);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A runtime that has made a call through `oncely`, and is not driven any more.
fn idle_after_a_call(oncely: &Coordinator) -> Runtime {
    let idle = runtime();
    idle.block_on(pay(oncely, "first").run(counted(&Counter::default()))).unwrap();
    idle
}

/// Holds a lock for a long time, during which nobody else gets it.
async fn hold(fixture: &Fixture, oncely: &Coordinator) -> Result<(), Error> {
    let elsewhere = fixture.elsewhere();
    let lock = oncely.lock("order").lease(LEASE);
    lock.run(|_| async move {
        sleep(LONG).await;
        // On a task of its own, which is none of the holder's.
        let other = tokio::spawn(elsewhere.lock("order").wait(ms(0)).acquire());
        assert_eq!(other.await.unwrap().unwrap_err().kind(), ErrorKind::LockBusy);
        Ok(())
    })
    .await
}

/// Makes each function a test on every store, outside of any runtime.
macro_rules! on_every_store {
    ($(fn $name:ident($fixture:ident: &Fixture) $body:block)+) => {
        $(fn $name($fixture: &Fixture) $body)+
        on_every_store!(memory, $($name)+);
        on_every_store!(sqlite, $($name)+);
        on_every_store!(redis, $($name)+);
        on_every_store!(postgres, $($name)+);
        on_every_store!(mysql, $($name)+);
        on_every_store!(redis_cluster, $($name)+);
    };
    ($store:ident, $($name:ident)+) => {
        mod $store {
            $(
                #[test]
                fn $name() {
                    let opening = super::runtime();
                    super::$name(&opening.block_on(oncely_tests::Fixture::$store()));
                }
            )+
        }
    };
}

on_every_store! {
    fn a_lease_is_kept_while_the_runtime_of_the_first_call_stands_still(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        let _idle = idle_after_a_call(&oncely);
        runtime().block_on(hold(fixture, &oncely)).unwrap();
    }

    fn a_lease_is_kept_while_another_runtime_computes(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        let (busy, computes) = (oncely.clone(), mpsc::channel());
        let computing = thread::spawn(move || {
            runtime().block_on(async {
                let guard = busy.lock("other").lease(LEASE).acquire().await.unwrap();
                computes.0.send(()).unwrap();
                thread::sleep(LONG);
                // Its own lease is kept as well: the code goes on, and would not know.
                assert!(guard.remaining() > ms(0));
                guard.release().await.unwrap();
            });
        });
        computes.1.recv().unwrap();
        runtime().block_on(hold(fixture, &oncely)).unwrap();
        computing.join().unwrap();
    }

    fn a_lease_is_kept_when_the_runtime_of_the_first_call_ends(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        let first = idle_after_a_call(&oncely);
        let ending = thread::spawn(move || {
            thread::sleep(LEASE / 4);
            drop(first);
        });
        runtime().block_on(hold(fixture, &oncely)).unwrap();
        ending.join().unwrap();
    }

    fn a_guard_is_renewed_where_it_is_watched_when_its_runtime_has_ended(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        let guard = runtime().block_on(oncely.lock("order").lease(LEASE).acquire()).unwrap();
        runtime().block_on(async {
            assert!(timeout(LONG, guard.lost()).await.is_err(), "not lost");
            guard.release().await.unwrap();
        });
    }

    fn a_guard_hears_of_its_loss_in_whichever_runtime_it_is(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().always(Call::Renew, StoreFault::Hang);
        let still = runtime();
        let guard = still.block_on(oncely.lock("order").lease(LEASE).acquire()).unwrap();
        runtime().block_on(async {
            let began = Instant::now();
            soon(guard.lost()).await;
            assert!(began.elapsed() < LONG, "by the clock, not by the store");
        });
    }

    fn two_are_never_inside_at_once_though_the_first_runtime_stands_still(fixture: &Fixture) {
        let (oncely, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
        fixture.store().always(Call::Renew, StoreFault::Hang);
        let _idle = idle_after_a_call(&oncely);
        let (inside, began) = (Inside::default(), mpsc::channel());
        let first_inside = inside.clone();
        let first = thread::spawn(move || {
            let lock = oncely.lock("order").lease(LEASE);
            runtime().block_on(lock.run(|_| async move {
                let _inside = first_inside.enter();
                began.0.send(()).unwrap();
                // One long await: nobody polls it again by itself.
                sleep(secs(60)).await;
                Ok::<_, Error>(())
            }))
        });
        began.1.recv().unwrap();
        let second = elsewhere.lock("order").wait(secs(20)).run(|_| async move {
            let _inside = inside.enter();
            Ok::<_, Error>(())
        });
        runtime().block_on(soon(second)).unwrap();
        assert_eq!(first.join().unwrap().unwrap_err().kind(), ErrorKind::LeaseLost);
    }

    fn a_runtime_that_ends_during_a_body_frees_its_key_at_once(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        let _driven = Driven::after_a_call(&oncely);
        let (ending, stage) = (runtime(), Stage::default());
        let _body = ending.block_on(on_stage(pay(&oncely, "42"), &stage));
        drop(ending);
        assert_eq!(soon_attempt(fixture), 2, "the call before was interrupted");
    }

    fn an_outcome_is_stored_though_its_runtime_ends_meanwhile(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        let _driven = Driven::after_a_call(&oncely);
        fixture.store().once(Call::Complete, StoreFault::Hang);
        let ending = runtime();
        let call = pay(&oncely, "42");
        let _call = ending.spawn(call.run(|_| async { Ok::<_, Error>(7_u32) }));
        ending.block_on(soon(fixture.store().called(Call::Complete, 2)));
        drop(ending);
        let repeated = pay(&fixture.elsewhere(), "42").wait(secs(20));
        let repeated = repeated.run(|_| async { Ok::<_, Error>(0_u32) });
        let repeated = runtime().block_on(soon(repeated)).unwrap();
        assert_eq!((repeated.is_replayed(), repeated.into_value()), (true, 7));
    }

    fn a_key_that_was_asked_for_by_a_runtime_that_ended_is_given_back(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        let _driven = Driven::after_a_call(&oncely);
        fixture.store().once(Call::Acquire, StoreFault::HangAfter);
        let ending = runtime();
        let _call = ending.spawn(pay(&oncely, "42").run(counted(&Counter::default())));
        ending.block_on(async {
            soon(fixture.store().called(Call::Acquire, 2)).await;
            // Until it is done as well.
            sleep(ms(300)).await;
        });
        drop(ending);
        assert_eq!(soon_attempt(fixture), 1, "no body has begun");
    }

    fn a_key_that_no_runtime_is_left_to_give_back_is_reported(fixture: &Fixture) {
        let (oncely, events) = (fixture.coordinator(), Events::listen());
        let (ending, stage) = (runtime(), Stage::default());
        let _body = ending.block_on(on_stage(pay(&oncely, "42"), &stage));
        drop(ending);
        assert_eq!(events.count("key not given back"), 1);
    }

    fn a_shutdown_gives_a_key_back_when_its_body_has_stopped_and_not_before(fixture: &Fixture) {
        let oncely = fixture.coordinator();
        let call = pay(&oncely, "42");
        let (begins, begun) = mpsc::channel();
        // It comes to its end without an await at which it could stop.
        let busy = thread::spawn(move || {
            runtime().block_on(call.run(|_| async move {
                begins.send(()).unwrap();
                thread::sleep(ms(400));
                Ok::<_, Error>(7_usize)
            }))
        });
        begun.recv().unwrap();
        let next = pay(&fixture.elsewhere(), "42").wait(secs(20));
        runtime().block_on(async {
            let (shutdown, next) =
                tokio::join!(oncely.shutdown(ms(20)), next.run(counted(&Counter::default())));
            assert!(next.unwrap().is_replayed(), "what it did stands");
            assert_eq!((&shutdown.stopped[..], &shutdown.unreleased[..]), (&["42".to_owned()][..], &[][..]));
        });
        assert_eq!(busy.join().unwrap().unwrap().into_value(), 7);
    }
}

/// The attempt of the next call, which is made long before the lease of one before it would end.
fn soon_attempt(fixture: &Fixture) -> u32 {
    let began = Instant::now();
    let call = pay(&fixture.elsewhere(), "42").wait(secs(20));
    let call = call.run(|call| async move { Ok::<_, Error>(call.attempt()) });
    let attempt = runtime().block_on(soon(call)).unwrap().into_value();
    assert!(began.elapsed() < secs(15), "the lease lasts 30 s");
    attempt
}

/// A runtime that has a thread of its own and nothing to do, until it is dropped.
struct Driven {
    thread: Option<JoinHandle<()>>,
    done: Arc<Notify>,
}

impl Driven {
    /// It has made a call through `oncely`.
    fn after_a_call(oncely: &Coordinator) -> Self {
        let (driven, done) = (idle_after_a_call(oncely), Arc::new(Notify::new()));
        let until = Arc::clone(&done);
        let thread = Some(thread::spawn(move || driven.block_on(until.notified())));
        Self { thread, done }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.done.notify_one();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_some_and(|ended| ended.is_ok()) || thread::panicking());
    }
}

/// Where only one may be at a time.
#[derive(Clone, Default)]
struct Inside(Counter);

impl Inside {
    fn enter(&self) -> Leaves {
        assert_eq!(self.0.up(), 1, "two are inside");
        Leaves(self.0.clone())
    }
}

struct Leaves(Counter);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.down();
    }
}
