//! Arguments: plain, by pattern, many, and left out.

use oncely::{Error, KeyPart, idempotent, with_lock};
use serde::Serialize;

use crate::{excludes, replays, saw};

#[derive(Clone, KeyPart, Serialize)]
struct OrderId(u64);

#[derive(Serialize)]
struct Dto {
    order: OrderId,
    r#type: String,
    pair: (u8, (u16, u32)),
}

struct Json<T>(T);

fn dto() -> Dto {
    Dto { order: OrderId(7), r#type: "card".into(), pair: (1, (2, 3)) }
}

#[idempotent(key = "pay:<order>:<1>")]
async fn plain(order: u64, note: &str) -> Result<String, Error> {
    saw(format_args!("{order} {note}"));
    Ok(format!("{order} {note}"))
}

#[tokio::test]
async fn a_free_function() {
    replays(async || plain(7, "a b").await, "7 a b".into(), "pay:7:a%20b | 7 a b").await;
}

#[idempotent]
async fn without_key(order: u64) -> Result<u64, Error> {
    saw(order);
    Ok(order)
}

#[tokio::test]
async fn a_function_without_a_key_has_its_arguments_as_the_key() {
    let arguments = oncely::Fingerprint::of(&(7_u64,)).unwrap();
    replays(async || without_key(7).await, 7, &format!("{arguments} | 7")).await;
}

#[idempotent(key = "<request.order>:<request.type>:<0.pair.1.0>")]
async fn fields(request: Dto) -> Result<u64, Error> {
    saw(&request.r#type);
    Ok(request.order.0)
}

#[tokio::test]
async fn fields_of_an_argument_stand_in_the_key() {
    replays(async || fields(dto()).await, 7, "7:card:2 | card").await;
}

#[idempotent(key = "<dto.order>")]
async fn newtype_pattern(Json(dto): Json<Dto>) -> Result<String, Error> {
    saw(&dto.r#type);
    Ok(dto.r#type)
}

#[tokio::test]
async fn an_argument_inside_a_newtype() {
    replays(async || newtype_pattern(Json(dto())).await, "card".into(), "7 | card").await;
}

#[idempotent(key = "<order>:<kind>:<deep>")]
async fn struct_pattern(
    Json(Dto { order, r#type: kind, pair: (_, (deep, _)) }): Json<Dto>,
) -> Result<u64, Error> {
    saw(format_args!("{} {kind} {deep}", order.0));
    Ok(order.0)
}

#[tokio::test]
async fn an_argument_taken_apart() {
    replays(async || struct_pattern(Json(dto())).await, 7, "7:card:2 | 7 card 2").await;
}

#[with_lock(key = "<left>:<right>:<first>", wait = "0s")]
async fn tuples((left, right): (u8, u8), [first, ..]: [u8; 3]) -> Result<u8, Error> {
    saw(format_args!("{left} {right} {first}"));
    Ok(left + right + first)
}

#[tokio::test]
async fn tuples_and_arrays() {
    excludes("1:2:3", async || tuples((1, 2), [3, 4, 5]).await, 6, "1:2:3 | 1 2 3").await;
}

#[idempotent(key = "<count>:<whole>")]
async fn bindings(
    mut count: u64,
    whole @ 0..: u32,
    &(ref first, second): &(String, u8),
    _: f64,
    _unused: char,
) -> Result<u64, Error> {
    count += 1;
    saw(format_args!("{count} {whole} {first} {second}"));
    Ok(count)
}

#[tokio::test]
async fn mutable_bindings_references_and_wildcards() {
    let pair = ("a".to_owned(), 2);
    replays(async || bindings(1, 5, &pair, 0.5, 'c').await, 2, "1:5 | 2 5 a 2").await;
}

#[idempotent(key = "<r#type>:<match>")]
async fn keywords(r#type: u8, r#match: u8) -> Result<u8, Error> {
    saw(r#type);
    Ok(r#match)
}

#[tokio::test]
async fn arguments_named_like_keywords() {
    replays(async || keywords(1, 2).await, 2, "1:2 | 1").await;
}

#[idempotent(key = "<a>:<s>")]
#[allow(clippy::too_many_arguments)]
async fn many(
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
    g: u8,
    h: u8,
    i: u8,
    j: u8,
    k: u8,
    l: u8,
    m: u8,
    n: u8,
    o: u8,
    p: u8,
    q: u8,
    r: u8,
    s: &str,
) -> Result<u8, Error> {
    let sum = a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r;
    saw(format_args!("{sum} {s}"));
    Ok(sum)
}

#[tokio::test]
async fn more_arguments_than_a_tuple_of_serde_has() {
    let call = async || many(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, "x").await;
    replays(call, 18, "1:x | 18 x").await;
}

struct Client;

#[idempotent(key = "<order>", skip(client, log))]
async fn skipping(client: &Client, order: u64, log: &mut Vec<u64>) -> Result<u64, Error> {
    let Client = client;
    log.push(order);
    saw(order);
    Ok(order)
}

#[tokio::test]
async fn skipped_arguments_reach_the_body_and_need_not_be_comparable() {
    let mut log = Vec::new();
    replays(async || skipping(&Client, 7, &mut log).await, 7, "7 | 7").await;
    assert_eq!(log, [7]);
}

#[with_lock(keys = ["account:<from>", "account:<to>"], wait = "0s")]
async fn transfer(from: u64, to: u64) -> Result<u64, Error> {
    saw(format_args!("{from} {to}"));
    Ok(to)
}

#[tokio::test]
async fn each_of_several_locks_excludes() {
    excludes("account:1", async || transfer(1, 2).await, 2, "account:1 | 1 2").await;
    excludes("account:2", async || transfer(1, 2).await, 2, "account:1 | 1 2").await;
}

#[idempotent(key = "call:<order>")]
#[with_lock(key = "lock:<order>", wait = "0s")]
async fn both(order: u64) -> Result<u64, Error> {
    saw(order);
    Ok(order)
}

#[with_lock(key = "lock:<order>", wait = "0s")]
#[idempotent(key = "call:<order>")]
async fn both_the_other_way_round(order: u64) -> Result<u64, Error> {
    saw(order);
    Ok(order)
}

#[tokio::test]
async fn both_attributes_in_either_order() {
    excludes("lock:7", async || both(7).await, 7, "call:7 | 7").await;
    replays(async || both(7).await, 7, "call:7 | 7").await;
    excludes("lock:7", async || both_the_other_way_round(7).await, 7, "call:7 | 7").await;
    replays(async || both_the_other_way_round(7).await, 7, "call:7 | 7").await;
}
