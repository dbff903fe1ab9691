//! One coordinator in several runtimes, each of which may stand still or end at any time.
//!
//! Each runtime runs on one thread, and time is real: a paused clock is a runtime's own.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use oncely::testing::{Call, StoreFault};
use oncely::{Coordinator, Error, ErrorKind};
use oncely_tests::{Counter, Fixture, ms, secs, soon};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};

use crate::{counted, pay};

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
