#![deny(warnings)]
#![allow(dead_code, non_snake_case)]

use oncely::{KeyPart, idempotent, with_lock};

pub struct Result;
pub struct Option;
pub struct String;
pub struct Vec;
pub struct Box;
pub struct Error;
pub struct Some;
pub struct None;
pub struct Ok;
pub struct Err;
pub struct Duration;
pub struct Future;
pub mod core {}
pub mod std {}

#[derive(KeyPart)]
pub struct OrderId(u64);

/// Arguments and functions named like what the expansion uses.
#[idempotent(key = "<call>:<binding>", wait = "1s", remember_errors = here)]
#[with_lock(key = "<never>")]
pub async fn here_is_none(
    call: u64,
    binding: u64,
    never: u64,
) -> ::core::result::Result<::core::option::Option<u64>, Failure> {
    let _ = here;
    ::core::result::Result::Ok(::core::option::Option::Some(call + binding + never))
}

pub fn here(_: &Failure) -> bool {
    true
}

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Failure(u64);

impl ::core::convert::From<oncely::Error> for Failure {
    fn from(_: oncely::Error) -> Self {
        Self(1)
    }
}

macro_rules! protected {
    ($name:ident, $argument:ident: $ty:ty, $key:literal, $wait:expr, $body:block) => {
        #[idempotent(key = $key, wait = $wait)]
        pub async fn $name(
            $argument: $ty,
            hidden: u64,
        ) -> ::core::result::Result<u64, oncely::Error> {
            let _ = hidden;
            $body
        }
    };
}

protected!(by_macro, order: u64, "order:<order>:<hidden>", "1s", {
    ::core::result::Result::Ok(order)
});

fn main() {}
