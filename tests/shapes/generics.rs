//! Generics with bounds, lifetimes, constants, `impl Trait` and where clauses.

use std::borrow::Cow;
use std::fmt::{Debug, Display};

use oncely::{Error, KeyPart, idempotent, with_lock};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{excludes, replays, saw};

#[derive(Clone, KeyPart, Serialize)]
struct Tagged<T> {
    tag: T,
}

#[idempotent(key = "<tag>:<r#type>")]
async fn bounds<T, const N: usize>(
    tag: Tagged<T>,
    r#type: impl KeyPart + Serialize + Display,
    bytes: [u8; N],
) -> Result<usize, Error>
where
    T: KeyPart + Serialize,
    [u8; N]: Serialize,
{
    let _ = &tag.tag;
    saw(format_args!("{} {bytes:?}", r#type));
    Ok(N)
}

#[tokio::test]
async fn types_constants_and_where_clauses() {
    let call = async || bounds(Tagged { tag: "a" }, 7_u8, [1, 2, 3]).await;
    replays(call, 3, "a:7 | 7 [1, 2, 3]").await;
}

#[idempotent(key = "<key>")]
async fn generic_outcome<K: KeyPart + Serialize, T>(key: K, value: T) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned + Debug,
{
    saw(format_args!("{value:?}"));
    Ok(value)
}

#[tokio::test]
async fn a_generic_outcome_comes_back_as_its_type() {
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Receipt {
        number: u64,
    }
    let call = async || generic_outcome("k", Receipt { number: 7 }).await;
    replays(call, Receipt { number: 7 }, "k | Receipt { number: 7 }").await;
}

#[with_lock(key = "<left>", wait = "0s")]
async fn lifetimes<'left, 'right: 'left>(
    left: &'left str,
    right: &'right str,
) -> Result<&'left str, Error> {
    saw(format_args!("{left} {right}"));
    Ok(if left < right { left } else { right })
}

#[tokio::test]
async fn lifetimes_of_arguments_flow_into_the_answer() {
    excludes("a", async || lifetimes("a", "b").await, "a", "a | a b").await;
}

#[idempotent(key = "<name>")]
async fn copied<'name>(name: &'name str) -> Result<Cow<'name, str>, Error> {
    saw(name);
    Ok(name.into())
}

#[tokio::test]
async fn an_answer_that_may_borrow_is_replayed_as_an_owned_one() {
    replays(async || copied("a").await, "a".into(), "a | a").await;
}

#[with_lock(key = "<0>", wait = "0s")]
async fn opaque(order: u64) -> Result<impl Iterator<Item = u64> + Debug + PartialEq<Never>, Error> {
    saw(order);
    Ok(Once(Some(order)))
}

/// Equal to nothing, so that a test can name what it does not know.
#[derive(Debug)]
struct Never;

#[derive(Debug)]
struct Once(Option<u64>);

impl Iterator for Once {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0.take()
    }
}

impl PartialEq<Never> for Once {
    fn eq(&self, _: &Never) -> bool {
        false
    }
}

#[tokio::test]
async fn an_opaque_answer() {
    let call = async || opaque(7).await.map(Iterator::collect::<Vec<_>>);
    excludes("7", call, vec![7], "7 | 7").await;
}

struct Shelf<'store, T, const N: usize> {
    id: &'store str,
    items: [T; N],
}

impl<'store, T, const N: usize> Shelf<'store, T, N>
where
    T: Clone + Debug,
{
    #[with_lock(key = "shelf:<self.id>:<at>", wait = "0s")]
    async fn item<A>(&'store self, at: A) -> Result<&'store T, Error>
    where
        A: KeyPart + Into<usize> + Copy,
    {
        let item = &self.items[at.into()];
        saw(format_args!("{item:?}"));
        Ok(item)
    }
}

#[tokio::test]
async fn a_method_of_a_generic_type() {
    let shelf = Shelf { id: "s", items: ['a', 'b'] };
    excludes("shelf:s:1", async || shelf.item(1_u8).await, &'b', "shelf:s:1 | 'b'").await;
}

#[with_lock(key = "<name>", wait = "0s")]
async fn functions<F>(name: &str, make: F) -> Result<String, Error>
where
    F: AsyncFnOnce(&str) -> String,
{
    let made = make(name).await;
    saw(&made);
    Ok(made)
}

#[tokio::test]
async fn an_asynchronous_closure_as_an_argument() {
    let call = async || functions("a", async |name| format!("{name}!")).await;
    excludes("a", call, "a!".into(), "a | a!").await;
}
