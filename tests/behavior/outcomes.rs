//! Outcomes that cannot be stored, or cannot be read back.

use std::collections::BTreeMap;
use std::panic::panic_any;

use oncely::store::{Lease, StoredOutcome, Token, Update};
use oncely::{Error, ErrorKind};
use oncely_tests::{Counter, Fixture, for_every_store, ms, secs};
use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::{counted, pay, spawn};

/// A value that has no stored form.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("not for storage"))
    }
}

/// A value whose author did not think of storage.
#[derive(Debug, Deserialize)]
struct Explosive;

impl Serialize for Explosive {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic_any("no word for it")
    }
}

for_every_store! {
    async fn an_outcome_of_another_type_is_unreadable_and_stays(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let first = pay(&oncely, "42").run(|_| async { Ok::<_, Error>("paid".to_owned()) });
        first.await.unwrap();
        for _ in 0..2 {
            let refused = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unreadable);
            assert_eq!(refused.key(), Some("42"));
            assert!(!refused.is_retryable());
        }
        let again = pay(&oncely, "42").run(|_| async { Ok::<_, Error>(String::new()) });
        assert_eq!(again.await.unwrap().into_value(), "paid");
        assert_eq!(ran.count(), 0);
    }

    async fn an_outcome_of_one_mebibyte_replays(fixture: Fixture) {
        let oncely = fixture.coordinator();
        // Two quotes around it.
        let value = "x".repeat((1 << 20) - 2);
        let first = pay(&oncely, "42").run(|_| async { Ok::<_, Error>(value.clone()) });
        first.await.unwrap();
        let again = pay(&oncely, "42").run(|_| async { Ok::<_, Error>(String::new()) });
        assert!(again.await.unwrap().into_value() == value);
    }

    async fn a_larger_outcome_is_returned_and_the_body_never_runs_twice_for_it(fixture: Fixture) {
        is_returned_and_never_run_twice(&fixture, "x".repeat((1 << 20) - 1)).await;
    }

    async fn an_outcome_without_a_stored_form_is_returned_and_never_run_twice(fixture: Fixture) {
        is_returned_and_never_run_twice(&fixture, Unserializable).await;
    }

    async fn a_map_that_json_cannot_hold_is_returned_and_never_run_twice(fixture: Fixture) {
        is_returned_and_never_run_twice(&fixture, BTreeMap::from([((1, 2), 3)])).await;
    }

    async fn what_would_come_back_as_another_value_is_never_replayed(fixture: Fixture) {
        is_returned_and_never_run_twice(&fixture, Some(())).await;
        is_returned_and_never_run_twice(&fixture, vec![Some(None::<u8>)]).await;
        is_returned_and_never_run_twice(&fixture, f64::INFINITY).await;
    }

    async fn an_error_without_a_stored_form_is_returned_and_never_run_twice(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let call = || {
            let ran = ran.clone();
            pay(&oncely, "42").remember_errors().run(move |_| async move {
                ran.up();
                Err::<u8, _>(HugeError::Own("x".repeat(1 << 20)))
            })
        };
        assert!(matches!(call().await.unwrap_err(), HugeError::Own(_)));
        assert_eq!(call().await.unwrap_err(), HugeError::Oncely("Unreadable".to_owned()));
        assert_eq!(ran.count(), 1);
    }

    async fn an_outcome_whose_serialization_panics_is_never_run_twice(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let lock = || oncely.lock("order").wait(ms(0));
        let body_ran = ran.clone();
        let call = pay(&oncely, "42").with_lock(lock()).run(move |_| async move {
            body_ran.up();
            Ok::<_, Error>(Explosive)
        });
        let panic = spawn(call).await.unwrap_err().into_panic();
        assert_eq!(*panic.downcast::<&str>().unwrap(), "no word for it");
        lock().acquire().await.unwrap().release().await.unwrap();
        let refused = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
        assert_eq!((refused.kind(), ran.count()), (ErrorKind::Unreadable, 1));
    }

    async fn a_choice_of_errors_that_panics_does_not_run_the_body_twice(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let body_ran = ran.clone();
        let call = pay(&oncely, "42").remember_errors_if(|_: &HugeError| panic_any("undecided"));
        let call = call.run_detached(move |_| async move {
            body_ran.up();
            Err::<usize, _>(HugeError::Own(String::new()))
        });
        let panic = spawn(call).await.unwrap_err().into_panic();
        assert_eq!(*panic.downcast::<&str>().unwrap(), "undecided");
        let refused = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
        assert_eq!((refused.kind(), ran.count()), (ErrorKind::Unreadable, 1));
    }

    async fn a_corrupt_outcome_is_unreadable_and_stays(fixture: Fixture) {
        for (code, payload) in [(0, &b"\xff\0{"[..]), (0, b""), (1, b"[]"), (250, b"whatever")] {
            let (oncely, ran) = (fixture.coordinator(), Counter::default());
            let key = format!("{code} {payload:?}");
            let store = fixture.open_elsewhere();
            // Another release, or a hand in the database, has written the outcome.
            let first = pay(&oncely, &key).run(|call| async move {
                let name = oncely::store::Key::call(
                    "oncely",
                    &oncely::__private::Operation::named("pay"),
                    None,
                    call.key(),
                );
                let lease = Lease::new(name?, Token::new(call.fencing_token()), 1);
                let outcome = StoredOutcome::from_parts(code, payload);
                let complete = Update::Complete { outcome, retention: secs(3600) };
                store.update(&[(lease, complete)]).await.unwrap();
                Ok::<_, Error>(0_usize)
            });
            first.await.unwrap();
            for _ in 0..2 {
                let refused = pay(&oncely, &key).run(counted(&ran)).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Unreadable);
            }
            assert_eq!(ran.count(), 0);
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum HugeError {
    Own(String),
    Oncely(String),
}

impl From<Error> for HugeError {
    fn from(error: Error) -> Self {
        Self::Oncely(format!("{:?}", error.kind()))
    }
}

async fn is_returned_and_never_run_twice<T>(fixture: &Fixture, value: T)
where
    T: Clone + PartialEq + Serialize + DeserializeOwned,
{
    let (oncely, ran) = (fixture.coordinator(), Counter::default());
    let call = || {
        pay(&oncely, std::any::type_name::<T>()).run(|_| {
            ran.up();
            std::future::ready(Ok::<_, Error>(value.clone()))
        })
    };
    assert!(call().await.unwrap().into_value() == value);
    for _ in 0..3 {
        let refused = call().await.map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unreadable);
    }
    assert_eq!(ran.count(), 1);
}
