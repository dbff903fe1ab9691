//! Where tokio is missing, or a part of it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use oncely::{Coordinator, ErrorKind};
use oncely_tests::{Counter, Fixture, ms, secs, soon};
use tokio::runtime::{Builder, Runtime};

use crate::{counted, pay};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn runtime_without_timers() -> Runtime {
    Builder::new_current_thread().enable_io().build().unwrap()
}

/// Polls a future that has no reason to wait.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn calling_outside_of_a_tokio_runtime_is_a_typed_error() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::memory());
    let oncely = fixture.coordinator();
    drop(runtime);
    let ran = Counter::default();
    let call = block_on(pay(&oncely, "42").run(counted(&ran))).unwrap_err();
    let detached = block_on(pay(&oncely, "42").run_detached(counted(&ran))).unwrap_err();
    let lock = block_on(oncely.lock("42").run(counted(&ran))).unwrap_err();
    let guard = block_on(oncely.lock("42").acquire()).unwrap_err();
    for refused in [call, detached, lock, guard] {
        assert_eq!(refused.kind(), ErrorKind::InvalidConfiguration);
    }
    assert_eq!(ran.count(), 0);
}

#[test]
fn a_lock_that_is_held_is_not_waited_for_outside_of_a_runtime() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::sqlite());
    let oncely = fixture.coordinator();
    let guard = runtime.block_on(oncely.lock("order").acquire()).unwrap();
    let refused = block_on(oncely.lock("order").acquire()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfiguration);
    runtime.block_on(guard.release()).unwrap();
}

#[test]
fn a_guard_released_outside_of_a_runtime_is_given_back_where_there_is_one() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::sqlite());
    let (oncely, elsewhere) = (fixture.coordinator(), fixture.elsewhere());
    let guard = runtime.block_on(oncely.lock("order").acquire()).unwrap();
    let refused = block_on(guard.release()).unwrap_err();
    assert_eq!((refused.kind(), refused.key()), (ErrorKind::InvalidConfiguration, Some("order")));
    let next = runtime.block_on(soon(elsewhere.lock("order").wait(secs(20)).acquire())).unwrap();
    runtime.block_on(next.release()).unwrap();
}

#[test]
fn a_shutdown_outside_of_a_runtime_stops_what_runs() {
    let runtime = runtime();
    let fixture = runtime.block_on(Fixture::sqlite());
    let oncely = fixture.coordinator();
    let guard = runtime.block_on(oncely.lock("order").acquire()).unwrap();
    let shutdown = block_on(oncely.shutdown(ms(50)));
    assert_eq!(shutdown.stopped, ["order"]);
    assert_eq!(shutdown.unreleased, ["order"]);
    runtime.block_on(soon(guard.lost()));
    let refused = runtime.block_on(oncely.lock("order").acquire()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ShuttingDown);
    drop(guard);
}

#[test]
fn a_runtime_without_timers_is_refused_by_what_it_lacks() {
    let (runtime, ran) = (runtime(), Counter::default());
    for fixture in [runtime.block_on(Fixture::memory()), runtime.block_on(Fixture::sqlite())] {
        let oncely = fixture.coordinator();
        let guard = runtime.block_on(oncely.lock("held").acquire()).unwrap();
        runtime_without_timers().block_on(async {
            let call = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
            let lock = oncely.lock("42").run(counted(&ran)).await.unwrap_err();
            let release = guard.release().await.unwrap_err();
            for refused in [call, lock, release] {
                assert_eq!(refused.kind(), ErrorKind::InvalidConfiguration);
                assert!(refused.to_string().contains("enable_time"), "{refused}");
            }
            oncely.shutdown(ms(50)).await;
        });
    }
    assert_eq!(ran.count(), 0);
}

#[test]
fn a_server_is_not_connected_to_without_timers() {
    for kind in ["redis", "redis+cluster", "postgres", "mysql"] {
        let url = format!("{kind}://user:secret@127.0.0.1:1/shop");
        let url = if kind.starts_with("redis") { format!("{kind}://127.0.0.1:1") } else { url };
        let refused = runtime_without_timers().block_on(Coordinator::connect(&url)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StoreUnsupported, "{kind}");
        let why = std::error::Error::source(&refused).unwrap().to_string();
        assert!(why.contains("enable_time"), "{why}");
    }
}
