//! Outcomes at hand: a repeated call in the process that knows the outcome asks no store.

use std::sync::Arc;
use std::time::Duration;

use oncely::store::{Acquired, BoxFuture, Lease, LeaseRequest, Store, StoreError, Update, Updated};
use oncely::testing::{Call, StoreFault};
use oncely::{Coordinator, Error, ErrorKind, Idempotent, Outcome, ReplayCache};
use oncely_tests::{Counter, Fixture, Stage, for_every_store, ms, secs, soon};
use tokio::time::sleep;

use crate::{counted, on_stage, pay, spawn};

/// A coordinator that keeps outcomes at hand.
fn cached(fixture: &Fixture, cache: ReplayCache) -> Coordinator {
    fixture.build(Coordinator::builder().replay_cache(cache))
}

/// What a call costs.
async fn round_trips<T>(fixture: &Fixture, call: impl Future<Output = T>) -> (usize, T) {
    let before = fixture.store().round_trips();
    let answer = call.await;
    (fixture.store().round_trips() - before, answer)
}

/// The round trips of a call that must not run its body.
async fn trips_of_replay(fixture: &Fixture, call: Idempotent) -> usize {
    let body = |_| async { panic!("ran again") };
    let (trips, outcome) = round_trips(fixture, call.run(body)).await;
    let outcome: Result<Outcome<usize>, Error> = outcome;
    assert!(outcome.unwrap().is_replayed());
    trips
}

for_every_store! {
    async fn who_ran_a_call_answers_again_without_asking(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        let call = || pay(&oncely, "42").fingerprint(&1_000).run(counted(&ran));
        assert_eq!(round_trips(&fixture, call()).await.0, 2);
        for _ in 0..3 {
            let (trips, outcome) = round_trips(&fixture, call()).await;
            let outcome = outcome.unwrap();
            assert_eq!((trips, outcome.is_replayed(), outcome.into_value()), (0, true, 1));
        }
        let clone = oncely.clone();
        assert_eq!(trips_of_replay(&fixture, pay(&clone, "42").fingerprint(&1_000)).await, 0);
    }

    async fn who_replayed_a_call_answers_again_without_asking(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        pay(&fixture.elsewhere(), "42").run(counted(&ran)).await.unwrap();
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 1);
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 0);
    }

    async fn without_a_cache_every_call_asks(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 1);
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 1);
    }

    async fn an_outcome_at_hand_replays_while_the_store_is_down(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        fixture.store().down();
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 0);
        let other = pay(&oncely, "43").run(counted(&ran)).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::StoreUnavailable);
    }

    async fn other_arguments_are_refused_from_the_cache_as_from_the_store(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        pay(&oncely, "42").fingerprint(&1_000).run(counted(&ran)).await.unwrap();
        let other = pay(&oncely, "42").fingerprint(&2_000).run(counted(&ran));
        let (trips, refused) = round_trips(&fixture, other).await;
        let refused = refused.unwrap_err();
        assert_eq!((trips, refused.kind(), refused.key()), (0, ErrorKind::KeyReused, Some("42")));
        // Without a fingerprint nothing can be compared, as in the store.
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 0);
        assert_eq!(ran.count(), 1);
    }

    async fn operations_scopes_and_namespaces_keep_their_outcomes_apart(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        let shop = Coordinator::builder().namespace("shop").replay_cache(ReplayCache::new());
        let shop = fixture.build(shop);
        let calls = [
            pay(&oncely, "42"),
            pay(&oncely, "42").scope("mine"),
            pay(&oncely, "42").scope("yours"),
            oncely.idempotent("refund", "42"),
            pay(&shop, "42"),
        ];
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.run(counted(&ran)).await.unwrap(), Outcome::Executed(number + 1));
        }
        let again = pay(&oncely, "42").scope("yours").run(counted(&ran)).await.unwrap();
        assert_eq!((again.is_replayed(), again.into_value()), (true, 3));
    }

    async fn remembered_errors_are_at_hand_too(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        let call = || {
            let ran = ran.clone();
            let call = pay(&oncely, "42").remember_errors();
            call.run(move |_| async move { Err::<u8, _>(Declined(ran.up())) })
        };
        assert_eq!(call().await.unwrap_err(), Declined(1));
        let (trips, again) = round_trips(&fixture, call()).await;
        assert_eq!((trips, again.unwrap_err()), (0, Declined(1)));
        // For a call that remembers none it is as unreadable as in the store.
        let (trips, other) = round_trips(&fixture, pay(&oncely, "42").run(counted(&ran))).await;
        assert_eq!((trips, other.unwrap_err().kind()), (0, ErrorKind::Unreadable));
        assert_eq!(ran.count(), 1);
    }

    async fn errors_that_are_not_remembered_are_not_at_hand(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        let call = || {
            let ran = ran.clone();
            pay(&oncely, "42").run(move |_| async move { Err::<u8, _>(Declined(ran.up())) })
        };
        assert_eq!(call().await.unwrap_err(), Declined(1));
        assert_eq!(call().await.unwrap_err(), Declined(2));
    }

    async fn a_call_in_progress_is_never_at_hand(fixture: Fixture) {
        let (oncely, stage) = (cached(&fixture, ReplayCache::new()), Stage::default());
        let first = on_stage(pay(&oncely, "42"), &stage).await;
        for _ in 0..2 {
            let ran = Counter::default();
            let busy = pay(&oncely, "42").wait(secs(0)).run(counted(&ran));
            let (trips, busy) = round_trips(&fixture, busy).await;
            assert_eq!((trips, busy.unwrap_err().kind()), (1, ErrorKind::InProgress));
        }
        let waits = spawn(pay(&oncely, "42").wait(secs(60)).run(|call| async move {
            Ok::<_, Error>(call.attempt())
        }));
        stage.open();
        first.await.unwrap().unwrap();
        assert!(soon(waits).await.unwrap().unwrap().is_replayed());
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 0);
    }

    async fn an_outcome_that_the_store_was_not_told_is_not_at_hand(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        fixture.store().once(Call::Complete, StoreFault::Unsupported);
        let call = || pay(&oncely, "42").lease(ms(200)).run(counted(&ran));
        assert_eq!(call().await.unwrap(), Outcome::Executed(1));
        assert_eq!(call().await.unwrap(), Outcome::Executed(2));
    }

    async fn a_call_with_a_lock_replays_from_the_cache_and_takes_no_lock(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        let call = || pay(&oncely, "42").with_lock(oncely.lock("order").wait(secs(0)));
        call().run(counted(&ran)).await.unwrap();
        let _held = oncely.lock("order").acquire().await.unwrap();
        assert_eq!(trips_of_replay(&fixture, call()).await, 0);
    }

    async fn nothing_is_answered_from_the_cache_after_a_shutdown(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        oncely.shutdown(secs(1)).await;
        let late = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::ShuttingDown);
    }

    async fn the_outcome_asked_for_last_stays_the_longest(fixture: Fixture) {
        let (oncely, ran) = (cached(&fixture, ReplayCache::new().entries(2)), Counter::default());
        for key in ["a", "b"] {
            pay(&oncely, key).run(counted(&ran)).await.unwrap();
        }
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "a")).await, 0);
        pay(&oncely, "c").run(counted(&ran)).await.unwrap();
        let trips = async |key| trips_of_replay(&fixture, pay(&oncely, key)).await;
        assert_eq!([trips("a").await, trips("c").await, trips("b").await], [0, 0, 1]);
    }

    async fn outcomes_take_no_more_bytes_than_they_may(fixture: Fixture) {
        let (oncely, kib) = (cached(&fixture, ReplayCache::new().bytes(5_000)), 1_024);
        let run = async |key: &str, bytes: usize| {
            let value = async |_| Ok::<_, Error>("x".repeat(bytes));
            round_trips(&fixture, pay(&oncely, key).run(value)).await.0
        };
        for key in ["a", "b", "c"] {
            assert_eq!(run(key, kib).await, 2);
        }
        assert_eq!([run("a", kib).await, run("b", kib).await, run("c", kib).await], [0, 0, 0]);
        assert_eq!(run("two more", 2 * kib).await, 2);
        assert_eq!([run("c", kib).await, run("two more", 2 * kib).await], [0, 0]);
        assert_eq!(run("a", kib).await, 1, "it was asked for the longest ago");
        // What is larger than the whole cache pushes nothing out.
        assert_eq!([run("large", 5 * kib).await, run("large", 5 * kib).await], [2, 1]);
        assert_eq!(run("a", kib).await, 0);
    }
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Declined(usize);

impl From<Error> for Declined {
    fn from(error: Error) -> Self {
        panic!("{error}")
    }
}

/// A call of key 42 that keeps its outcome for so long.
fn kept(oncely: &Coordinator, retention: Duration) -> Idempotent {
    pay(oncely, "42").lease(ms(100)).retention(retention)
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_at_hand_no_longer_than_its_age_and_asking_does_not_prolong_it() {
    let fixture = Fixture::memory().await;
    let (oncely, ran) = (cached(&fixture, ReplayCache::new().age(secs(10))), Counter::default());
    pay(&oncely, "42").run(counted(&ran)).await.unwrap();
    for _ in 0..3 {
        sleep(secs(3)).await;
        assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 0);
    }
    sleep(secs(1)).await;
    assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 1);
    // The store's answer counts anew.
    sleep(secs(9)).await;
    assert_eq!(trips_of_replay(&fixture, pay(&oncely, "42")).await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_at_hand_no_longer_than_its_retention() {
    let fixture = Fixture::memory().await;
    let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
    kept(&oncely, secs(10)).run(counted(&ran)).await.unwrap();
    sleep(ms(9_800)).await;
    assert_eq!(trips_of_replay(&fixture, kept(&oncely, secs(10))).await, 0);
    sleep(ms(200)).await;
    let again = kept(&oncely, secs(10)).run(counted(&ran)).await.unwrap();
    assert_eq!(again, Outcome::Executed(2));
}

#[tokio::test(start_paused = true)]
async fn the_retention_counts_from_before_the_completion_was_sent() {
    let fixture = Fixture::memory().await;
    let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
    // It is done at once, and the answer is lost; the second one comes seconds later.
    fixture.store().once(Call::Complete, StoreFault::FailAfter);
    fixture.store().once(Call::Complete, StoreFault::Delay(secs(4)));
    let call = || pay(&oncely, "42").lease(secs(10)).retention(secs(10)).run(counted(&ran));
    assert_eq!(call().await.unwrap(), Outcome::Executed(1));
    sleep(secs(6)).await;
    assert_eq!(call().await.unwrap(), Outcome::Executed(2));
}

#[tokio::test(start_paused = true)]
async fn what_was_replayed_is_at_hand_for_what_remains_of_its_own_retention() {
    let fixture = Fixture::memory().await;
    let (oncely, ran) = (cached(&fixture, ReplayCache::new()), Counter::default());
    // Another release of the program keeps outcomes for a shorter time.
    kept(&fixture.elsewhere(), secs(10)).run(counted(&ran)).await.unwrap();
    sleep(secs(6)).await;
    assert_eq!(trips_of_replay(&fixture, kept(&oncely, secs(3_600))).await, 1);
    sleep(ms(3_900)).await;
    assert_eq!(trips_of_replay(&fixture, kept(&oncely, secs(3_600))).await, 0);
    sleep(ms(100)).await;
    let again = kept(&oncely, secs(3_600)).run(counted(&ran)).await.unwrap();
    assert_eq!(again, Outcome::Executed(2));
}

/// A store on a slow way: its answers are some seconds old when they come.
#[derive(Debug)]
struct Late(Arc<dyn Store>);

const LATE: Duration = secs(4);

impl Store for Late {
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async {
            let answer = self.0.acquire(requests).await;
            sleep(LATE).await;
            answer
        })
    }

    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        self.0.update(updates)
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_replayed_counts_from_before_the_store_was_asked() {
    let fixture = Fixture::memory().await;
    let ran = Counter::default();
    let late = Late(fixture.open_elsewhere());
    let oncely = Coordinator::builder().replay_cache(ReplayCache::new()).build(late).unwrap();
    kept(&fixture.elsewhere(), secs(10)).run(counted(&ran)).await.unwrap();
    let call = || kept(&oncely, secs(10)).lease(secs(9));
    // The answer says ten seconds, and four of them are over when it comes.
    assert!(call().run(counted(&ran)).await.unwrap().is_replayed());
    sleep(secs(6)).await;
    assert_eq!(call().run(counted(&ran)).await.unwrap(), Outcome::Executed(2));
}

#[tokio::test]
async fn a_cache_of_nothing_is_refused() {
    let nothing = [
        ReplayCache::new().entries(0),
        ReplayCache::new().bytes(0),
        ReplayCache::new().age(Duration::ZERO),
    ];
    for cache in nothing {
        let refused = Coordinator::builder().replay_cache(cache).connect("memory:").await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidConfiguration);
    }
}
