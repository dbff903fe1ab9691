//! The first call runs, the repeated one replays.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::SystemTime;

use oncely::{Coordinator, Error, Outcome};
use oncely_tests::{Counter, for_every_store, ms, secs};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{counted, pay};

for_every_store! {
    async fn the_first_call_runs_and_gives_its_value(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let outcome = pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        assert_eq!(outcome, Outcome::Executed(1));
        assert_eq!(ran.count(), 1);
    }

    async fn a_repeated_call_replays_and_the_body_does_not_run(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        for _ in 0..5 {
            let outcome = pay(&oncely, "42").run(counted(&ran)).await.unwrap();
            assert!(outcome.is_replayed());
            assert_eq!(*outcome.value(), 1);
        }
        assert_eq!(ran.count(), 1);
    }

    async fn a_repeated_call_in_another_process_replays(fixture: Fixture) {
        let ran = Counter::default();
        pay(&fixture.coordinator(), "42").run(counted(&ran)).await.unwrap();
        let outcome = pay(&fixture.elsewhere(), "42").run(counted(&ran)).await.unwrap();
        assert_eq!((outcome.is_replayed(), outcome.into_value()), (true, 1));
    }

    async fn a_call_costs_two_round_trips_and_its_replay_one(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        assert_eq!(fixture.store().round_trips(), 2);
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        assert_eq!(fixture.store().round_trips(), 3);
    }

    async fn a_replay_says_when_the_value_was_stored(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let before = SystemTime::now();
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        let after = SystemTime::now();
        let Outcome::Replayed { at, .. } = pay(&oncely, "42").run(counted(&ran)).await.unwrap()
        else { panic!("not replayed") };
        assert!(before - ms(50) <= at && at <= after + ms(50), "{before:?} {at:?} {after:?}");
    }

    async fn the_end_of_the_lease_does_not_end_the_record(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        pay(&oncely, "42").lease(ms(100)).run(counted(&ran)).await.unwrap();
        sleep(ms(300)).await;
        assert!(pay(&oncely, "42").run(counted(&ran)).await.unwrap().is_replayed());
    }

    async fn after_its_retention_a_call_runs_again(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let call = || pay(&oncely, "42").lease(ms(100)).retention(ms(400));
        call().run(counted(&ran)).await.unwrap();
        // Replays do not prolong it.
        for _ in 0..3 {
            sleep(ms(150)).await;
            let _ = call().run(counted(&ran)).await.unwrap();
        }
        sleep(ms(100)).await;
        let again = call().run(counted(&ran)).await.unwrap();
        assert_eq!(again.into_value(), 2);
        assert_eq!(ran.count(), 2);
    }

    async fn tokens_rise_over_the_end_of_the_retention(fixture: Fixture) {
        let oncely = fixture.coordinator();
        let mut last = 0;
        for _ in 0..2 {
            let call = pay(&oncely, "42").lease(secs(2)).retention(secs(2));
            let token = call.run(|call| async move { Ok::<_, Error>(call.fencing_token()) });
            let outcome = token.await.unwrap();
            assert!(!outcome.is_replayed() && *outcome.value() > last);
            last = outcome.into_value();
            sleep(ms(2_050)).await;
        }
    }

    async fn empty_and_false_values_replay_as_themselves(fixture: Fixture) {
        let oncely = fixture.coordinator();
        replays(&oncely, ()).await;
        replays(&oncely, 0_u8).await;
        replays(&oncely, false).await;
        replays(&oncely, String::new()).await;
        replays(&oncely, Vec::<u8>::new()).await;
        replays(&oncely, None::<u8>).await;
        replays(&oncely, Some(0)).await;
        replays(&oncely, [(); 0]).await;
        replays(&oncely, BTreeMap::<String, u8>::new()).await;
        replays(&oncely, Receipt::default()).await;
        replays(&oncely, Unit).await;
    }

    async fn extreme_values_replay_as_themselves(fixture: Fixture) {
        let oncely = fixture.coordinator();
        replays(&oncely, (i128::MIN, u128::MAX, i64::MIN, u64::MAX)).await;
        replays(&oncely, (f64::MIN_POSITIVE, f64::MAX, f64::EPSILON, -0.0_f64, f32::MAX)).await;
        replays(&oncely, "\0 \u{feff} 👩‍👩‍👧 \u{202e} \" \\".to_owned()).await;
        replays(&oncely, ('\0', '\u{10ffff}')).await;
        replays(&oncely, BTreeMap::from([(1_u8, 2_i8), (3, -4)])).await;
        replays(&oncely, (0..=255_u8).collect::<Vec<_>>()).await;
        replays(&oncely, Ok::<u8, String>(1)).await;
    }

    async fn floats_replay_bit_for_bit(fixture: Fixture) {
        // A parser that rounds its last bit shows in a few of a thousand.
        let mut seed = 7_u64;
        let floats = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from_bits(seed ^ (seed >> 33))
        });
        let floats: Vec<_> = floats.filter(|float| float.is_finite()).take(2_000).collect();
        replays(&fixture.coordinator(), floats).await;
    }

    async fn a_value_is_replayed_for_a_day_unless_set_otherwise(fixture: Fixture) {
        if fixture.steady_lease() < secs(30) {
            return; // Only where time is paused.
        }
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        pay(&oncely, "42").run(counted(&ran)).await.unwrap();
        sleep(secs(24 * 3600 - 1)).await;
        assert!(pay(&oncely, "42").run(counted(&ran)).await.unwrap().is_replayed());
        sleep(secs(2)).await;
        assert!(!pay(&oncely, "42").run(counted(&ran)).await.unwrap().is_replayed());
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Receipt {
    number: u32,
    note: Option<String>,
    lines: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

/// Runs a call that gives `value`, and holds the replay against it.
async fn replays<T>(oncely: &Coordinator, value: T)
where
    T: Clone + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let key = format!("{}: {value:.40?}", std::any::type_name::<T>());
    let key: String = key.chars().take(100).collect();
    let first = pay(oncely, &key).run(|_| async { Ok::<_, Error>(value.clone()) });
    assert_eq!(first.await.unwrap(), Outcome::Executed(value.clone()));
    let again = pay(oncely, &key).run(|_| async { panic!("ran twice") });
    let again: Outcome<T> = again.await.map_err(|error: Error| error).unwrap();
    assert!(again.is_replayed());
    assert_eq!(format!("{:?}", again.value()), format!("{value:?}"));
    assert_eq!(again.into_value(), value);
}
