//! Names of the user that shadow what an expansion could lean on.
#![allow(dead_code, non_snake_case, non_upper_case_globals, clippy::upper_case_acronyms)]

use oncely::{KeyPart, idempotent, with_lock};

use crate::{excludes, replays, saw};

pub(crate) struct Result;
pub(crate) struct Option;
pub(crate) struct String;
pub(crate) struct Vec;
pub(crate) struct Box;
pub(crate) struct Error;
pub(crate) struct Duration;
pub(crate) struct Future;
pub(crate) struct Arguments;
pub(crate) struct Piece;
const Some: u8 = 1;
const None: u8 = 2;
const Ok: u8 = 3;
const Err: u8 = 4;
pub(crate) mod core {}
pub(crate) mod std {}
pub(crate) mod serde_json {}

type Answer<T> = ::core::result::Result<T, oncely::Error>;

#[derive(serde::Serialize, KeyPart)]
struct OrderId(u64);

#[idempotent(key = "<call>:<binding>", wait = "1s", retention = "1500ms", scope = "<never>")]
#[with_lock(key = "<never>", wait = "0s")]
async fn shadowed(call: u64, binding: OrderId, never: u64) -> Answer<::core::option::Option<u64>> {
    saw(format_args!("{call} {} {never}", binding.0));
    Answer::Ok(::core::option::Option::Some(call))
}

#[tokio::test]
async fn names_of_the_prelude_may_mean_something_else() {
    let call = async || shadowed(1, OrderId(2), 3).await;
    let expected = ::core::option::Option::Some(1);
    excludes("3", call, expected, "1:2 | 1 2 3").await;
    replays(call, expected, "1:2 | 1 2 3").await;
}

#[with_lock(key = "<coordinator>", wait = "0s")]
async fn arguments_of_ours(coordinator: u64, returned: u64) -> Answer<u64> {
    saw(returned);
    '_body: {
        if coordinator > 1 {
            break '_body Answer::Ok(returned);
        }
        Answer::Ok(0)
    }
}

#[tokio::test]
async fn arguments_and_labels_may_be_called_like_ours() {
    excludes("7", async || arguments_of_ours(7, 8).await, 8, "7 | 8").await;
}
