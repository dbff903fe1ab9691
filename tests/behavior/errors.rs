//! Bodies that fail, and what errors say.

use std::error::Error as _;

use oncely::testing::{Call, StoreFault};
use oncely::{Error, ErrorKind};
use oncely_tests::{Counter, for_every_store, secs};
use serde::{Deserialize, Serialize};

use crate::{counted, pay};

/// The error of somebody's own function.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum PayError {
    Declined { code: u32, reason: String },
    Offline,
    Refused(String),
}

impl From<Error> for PayError {
    fn from(error: Error) -> Self {
        Self::Refused(format!("{:?}", error.kind()))
    }
}

fn declined() -> PayError {
    PayError::Declined { code: 51, reason: String::new() }
}

for_every_store! {
    async fn an_error_that_is_not_remembered_frees_the_key_at_once(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        for _ in 0..3 {
            let call = pay(&oncely, "42").wait(secs(0));
            let failed = call.run(|call| {
                ran.up();
                async move {
                    assert_eq!(call.attempt(), 1, "an error is an end, not an interruption");
                    Err::<u8, _>(declined())
                }
            });
            assert_eq!(failed.await.unwrap_err(), declined());
        }
        assert_eq!(ran.count(), 3);
        let other = pay(&fixture.elsewhere(), "42").wait(secs(0)).fingerprint("another");
        assert_eq!(other.run(counted(&ran)).await.unwrap().into_value(), 4);
    }

    async fn remembered_errors_replay_as_the_same_typed_error(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        for _ in 0..3 {
            let call = pay(&oncely, "42").remember_errors();
            let failed = call.run(|_| {
                ran.up();
                async { Err::<u8, _>(declined()) }
            });
            assert_eq!(failed.await.unwrap_err(), declined());
        }
        assert_eq!(ran.count(), 1);
    }

    async fn a_call_that_remembers_errors_remembers_values_too(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        for _ in 0..2 {
            let call = pay(&oncely, "42").remember_errors();
            let value = call.run(|_| {
                ran.up();
                async { Ok::<_, PayError>(7) }
            });
            assert_eq!(value.await.unwrap().into_value(), 7);
        }
        assert_eq!(ran.count(), 1);
    }

    async fn only_errors_that_are_final_are_remembered(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let call = || {
            let is_final = |error: &PayError| matches!(error, PayError::Declined { .. });
            pay(&oncely, "42").remember_errors_if(is_final)
        };
        let fail = |error| {
            let ran = ran.clone();
            call().run(move |_| async move {
                ran.up();
                Err::<u8, _>(error)
            })
        };
        assert_eq!(fail(PayError::Offline).await.unwrap_err(), PayError::Offline);
        assert_eq!(fail(PayError::Offline).await.unwrap_err(), PayError::Offline);
        assert_eq!(ran.count(), 2);
        assert_eq!(fail(declined()).await.unwrap_err(), declined());
        assert_eq!(fail(PayError::Offline).await.unwrap_err(), declined());
        assert_eq!(ran.count(), 3);
    }

    async fn a_refusal_is_not_remembered_as_an_error_of_the_body(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        fixture.store().down();
        let refused = pay(&oncely, "42").remember_errors().run(|_| async { Ok::<u8, PayError>(1) });
        assert_eq!(refused.await.unwrap_err(), PayError::Refused("StoreUnavailable".to_owned()));
        fixture.store().heal();
        assert_eq!(pay(&oncely, "42").run(counted(&ran)).await.unwrap().into_value(), 1);
    }

    async fn a_remembered_error_is_unreadable_for_a_call_that_remembers_none(fixture: Fixture) {
        let (oncely, ran) = (fixture.coordinator(), Counter::default());
        let remember = || pay(&oncely, "42").remember_errors();
        remember().run(|_| async { Err::<u8, _>(declined()) }).await.unwrap_err();
        let other = pay(&oncely, "42").run(counted(&ran)).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Unreadable);
        let again = remember().run(|_| async { Ok::<u8, PayError>(1) }).await.unwrap_err();
        assert_eq!(again, declined());
        assert_eq!(ran.count(), 0);
    }

    async fn an_error_of_the_body_is_not_hidden_by_a_release_that_fails(fixture: Fixture) {
        let oncely = fixture.coordinator();
        fixture.store().always(Call::Release, StoreFault::FailBefore);
        let call = pay(&oncely, "42").lease(secs(1));
        let failed = call.run(|_| async { Err::<u8, _>(declined()) });
        assert_eq!(failed.await.unwrap_err(), declined());
        let lock = oncely.lock("42").lease(secs(1));
        let failed = lock.run(|_| async { Err::<u8, _>(declined()) });
        assert_eq!(failed.await.unwrap_err(), declined());
    }
}

#[tokio::test]
async fn an_error_says_what_happened_to_which_key_and_nothing_else() {
    let fixture = oncely_tests::Fixture::memory().await;
    fixture.store().down();
    let oncely = fixture.coordinator();
    let call = pay(&oncely, "order:42").scope("tenant").fingerprint("card 4111");
    let error = call.run(counted(&Counter::default())).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("`order:42`"), "{text}");
    assert!(!text.contains("4111") && !text.contains("tenant"), "{text}");
    assert!(text.starts_with(char::is_lowercase), "{text}");
    let source = error.source().unwrap().to_string();
    assert!(!text.contains(&source), "`{text}` repeats its source `{source}`");
}

#[tokio::test]
async fn a_key_cannot_forge_lines_of_a_log() {
    let fixture = oncely_tests::Fixture::memory().await;
    fixture.store().down();
    let lock = fixture.coordinator().lock("a\nERROR forged \u{1b}[31m");
    let text = lock.acquire().await.unwrap_err().to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
