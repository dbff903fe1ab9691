//! The attributes of oncely.

mod attribute;
mod check;
mod diagnostics;
mod expand;
mod model;
mod parse;
#[cfg(test)]
mod tests;

use syn::{DeriveInput, parse_macro_input};

use crate::attribute::{Kind, attribute};

/// Runs a call once, and replays its outcome to everyone who makes it again.
///
/// ```
/// use oncely::idempotent;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize)]
/// struct PayRequest {
///     id: String,
///     amount: u64,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Receipt {
///     number: u64,
/// }
///
/// #[idempotent(key = "pay:<request.id>")]
/// async fn pay(request: PayRequest) -> Result<Receipt, oncely::Error> {
///     Ok(Receipt { number: request.amount })
/// }
/// ```
///
/// The function is `async` and returns `Result<T, E>`, where `T: Serialize + DeserializeOwned` and
/// `E: From<oncely::Error>`. Its signature stays as it is. It may be a method, a method of a
/// trait, one under `#[async_trait]`, and generic. Beside [`macro@with_lock`] both make one plan,
/// whatever their order: a replay takes no lock.
///
/// # Which calls are the same
///
/// `key = "template"`: calls of this function with the same key. A placeholder is an argument
/// `<id>`, a field path `<request.order.id>` or `<self.tenant>`, or a position `<0>`; `<<` and
/// `>>` are the brackets themselves. Without `key`, calls with the same arguments.
///
/// `skip(argument, …)`: leaves arguments out of the comparison: clients, clocks, trace ids. The
/// same key with other arguments, of those that are left, is refused as `KeyReused`. A type with
/// `impl oncely::Unfingerprinted` is left out wherever it stands, and so is what axum's `State` and
/// `Extension` bring. An `IdempotencyKey` is the key where none is written (features `http` and
/// `axum`).
///
/// `scope = "template"`: keeps callers apart. The same key of two users never meets.
///
/// `operation = "name"`: the name under which outcomes are stored. The default is made of module,
/// type and function, so set it before renaming one of them.
///
/// ```
/// # use oncely::idempotent;
/// # #[derive(Clone)] struct Client;
/// #[idempotent(
///     key = "refund:<order_id>",
///     scope = "<user_id>",
///     skip(client),
///     operation = "payments.refund"
/// )]
/// async fn refund(client: &Client, user_id: u64, order_id: u64) -> Result<(), oncely::Error> {
///     Ok(())
/// }
/// ```
///
/// # How long
///
/// Durations are texts with units: `ms`, `s`, `m`, `h`, `d`, and rows of them such as `"1h30m"`.
///
/// | option | default | |
/// |---|---|---|
/// | `retention` | `"24h"` | how long the outcome replays |
/// | `lease` | `"30s"` | how long a silent holder keeps the key; renewed while the body runs |
/// | `max_hold` | `"1h"` | renewal stops after this |
/// | `wait` | `"10s"` | how long a duplicate waits for its running twin; `"0s"` answers at once |
///
/// ```
/// # use oncely::idempotent;
/// #[idempotent(retention = "7d", lease = "10s", max_hold = "5m", wait = "0s")]
/// async fn import(file: String) -> Result<u64, oncely::Error> {
///     Ok(0)
/// }
/// ```
///
/// # When something goes wrong
///
/// `remember_errors`: errors are outcomes too, stored and replayed as the same typed error, for
/// which `E: Serialize + DeserializeOwned`. `remember_errors = path`: only those for which the
/// function `fn(&E) -> bool` says so. Otherwise an error frees the key.
///
/// `on_interrupted = "rerun"` (the default) or `"hold"`: after a crash, a panic or a dropped
/// future the next call runs the body again (at least once), or is refused until someone resolves
/// it (at most once), with `resolve_with` or `resolve_as_not_run` of the same call without macros.
///
/// `on_store_error = "refuse"` (the default) or `"run"`: when the store cannot be reached before
/// the body starts, fail, or run without protection. A call that knows of a running twin, or of a
/// holder of its lock, waits for the store as long as it would wait for them, and then fails.
///
/// `detached`: the body finishes and is recorded even if the caller is dropped. All arguments own
/// their data.
///
/// ```
/// # use oncely::idempotent;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// enum PayError {
///     Declined,
///     Refused,
/// }
///
/// impl PayError {
///     fn is_final(&self) -> bool {
///         matches!(self, Self::Declined)
///     }
/// }
///
/// impl From<oncely::Error> for PayError {
///     fn from(_: oncely::Error) -> Self {
///         Self::Refused
///     }
/// }
///
/// #[idempotent(
///     key = "pay:<order_id>",
///     remember_errors = PayError::is_final,
///     on_interrupted = "hold",
///     on_store_error = "refuse",
///     detached
/// )]
/// async fn pay(order_id: u64) -> Result<u64, PayError> {
///     Ok(order_id)
/// }
/// ```
///
/// # Where
///
/// `coordinator = expr`: which coordinator to ask. Arguments and `self` can be named. Without it,
/// the one of the scope, then the installed one.
///
/// ```
/// # use oncely::{Coordinator, idempotent};
/// struct Payments {
///     coordinator: Coordinator,
/// }
///
/// impl Payments {
///     #[idempotent(key = "pay:<order_id>", coordinator = &self.coordinator)]
///     async fn pay(&self, order_id: u64) -> Result<(), oncely::Error> {
///         Ok(())
///     }
/// }
/// ```
///
/// `crate = "path"`: where this crate finds oncely, if its `Cargo.toml` gives it another name or
/// another crate exports it. Once for a whole crate, `extern crate once as oncely;` at its root
/// does the same.
///
/// ```
/// # mod framework { pub use oncely; }
/// #[framework::oncely::idempotent(key = "pay:<order_id>", crate = "framework::oncely")]
/// async fn pay(order_id: u64) -> Result<(), framework::oncely::Error> {
///     Ok(())
/// }
/// ```
///
/// # Warnings
///
/// An argument of a type that mentions `HashSet` has another order, and so another fingerprint, in
/// every process. `skip` it, take a `BTreeSet`, or write `#[allow(deprecated)]` at the function:
/// that is the lint by which a macro can warn.
///
/// # In a transaction
///
/// `tx = tx` names an argument, a `&mut sqlx::Transaction<'_, DB>`: claim and outcome are written in
/// it with whatever the body writes, and become real when its owner commits it, or not at all.
/// Exactly once, for that database. `begin(tx = self.pool)` begins a transaction on that pool, the
/// body has it as `tx`, and it is committed with the outcome. The coordinator's store must be in the
/// same database. A duplicate waits for the transaction before it; the lock of a `#[with_lock]` on
/// the same function belongs to the transaction as well.
///
/// ```text
/// #[idempotent(key = "pay:<request_id>", tx = tx)]
/// async fn pay(tx: &mut Transaction<'_, Postgres>, request_id: &str) -> Result<(), PayError> {
///     sqlx::query("insert into payments …").execute(&mut **tx).await?;
///     Ok(())
/// }
/// ```
///
/// # What does not compile
///
/// | written | the compiler says |
/// |---|---|
/// | `key = "pay:<order_di>"` | `<order_di>` is not an argument of `pay` |
/// | `key = "<shop><order>"` | nothing separates `<shop>` from `<order>` |
/// | `key = "order:<id"` | `<id` is never closed |
/// | `key = "nightly"` | this key never varies, so `constant` would run once and for all |
/// | `key = "price:<price>"` with an `f64` | `f64` cannot be part of a key |
/// | no key, and a client among the arguments | `Client` cannot take part in the fingerprint of the call |
/// | no key, and only `State` among the arguments | no argument of this function tells one call from another, so it would run once and for all |
/// | `skip(clok)` | `clok` is not an argument of `unknown` |
/// | `key = "<id>", skip(id)` | `id` is skipped, and `key` uses it |
/// | `key = format!("order:{id}")` | `key` takes a string literal, as it is checked while compiling |
/// | `retention = "0h"` | `retention` cannot be zero: an outcome that is forgotten at once is never replayed |
/// | `lease = "2m", max_hold = "1m"` | the lease (2m) is longer than `max_hold` (1m) |
/// | `wait = "30"` | `wait` has no unit |
/// | `remember_errors` with an `E` that is not serializable | `PayError` cannot be stored, so `remember_errors` could not replay it |
/// | `on_interrupted = "holt"` | `holt` is not a choice of `on_interrupted` |
/// | `on_store_error = "ignore"` | `ignore` is not a choice of `on_store_error` |
/// | `detached` with `name: &str` | `name` is borrowed, and `detached` is set |
/// | `scope = "<nobody>"` | `<nobody>` is not an argument of `pay` |
/// | two coordinators on one function | the two attributes name different coordinators |
/// | `ttl = "1h"` | `ttl` is not an option of `#[idempotent]` |
/// | `fn` without `async` | `pay` is not `async` |
/// | `-> String` | a protected function returns a `Result`, and `String` is none |
/// | `-> Result<Receipt, …>` that is not serializable | `Receipt` cannot be stored, so a repeated call could not return it |
/// | `-> Result<(StatusCode, &'static str), …>` | `&str` cannot be replayed as a response |
/// | `-> Result<…, PayError>` without the `From` | `PayError` cannot carry a refusal: it lacks `From<oncely::Error>` |
/// | `cart: &mut Vec<u64>` | `cart` is `&mut`: a replay could not repeat what is done to it |
/// | `tx = tx` with `tx: &mut Pool` | no SQL store of oncely serves `Pool` |
/// | `begin(tx = pool)` with a `u64` | a call cannot begin a transaction on `u64` |
/// | `begin` | `begin` needs a pool to begin a transaction on |
/// | `tx = tx, begin(tx = self.pool)` | `tx` and `begin` are both set |
///
/// Each says below what to write instead, and all mistakes of a function come in one go.
#[proc_macro_attribute]
pub fn idempotent(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    attribute(Kind::Idempotent, options.into(), item.into()).into()
}

/// Runs one call at a time.
///
/// ```
/// use oncely::with_lock;
///
/// #[with_lock(key = "order:<order_id>", wait = "2s")]
/// async fn ship(order_id: u64) -> Result<(), oncely::Error> {
///     Ok(())
/// }
/// ```
///
/// The function is `async` and returns `Result<T, E>`, where `E: From<oncely::Error>`. Its
/// signature stays as it is. Lock keys are global to the namespace of the coordinator: two
/// functions with the same key exclude each other. Beside [`macro@idempotent`] both make one plan,
/// whatever their order.
///
/// `key = "template"` names the lock, and `keys = ["…", "…"]` names several, taken together: all
/// or none, in any order, without a deadlock. Templates are those of [`macro@idempotent`]; one
/// without a placeholder is a lock for every call: if the function has arguments that it could
/// name, say `constant` beside it, or the compiler warns.
///
/// ```
/// # use oncely::with_lock;
/// #[with_lock(keys = ["account:<from>", "account:<to>"])]
/// async fn transfer(from: u64, to: u64, amount: u64) -> Result<(), oncely::Error> {
///     Ok(())
/// }
/// ```
///
/// `on_busy = "fail"` (the default) or `"skip"`: past `wait`, a busy lock is the error `LockBusy`,
/// or the value `Ok(None)`, for which the function returns `Result<Option<T>, E>`.
///
/// ```
/// # use oncely::with_lock;
/// #[with_lock(key = "nightly report", wait = "0s", on_busy = "skip")]
/// async fn report() -> Result<Option<String>, oncely::Error> {
///     Ok(Some(String::new()))
/// }
/// ```
///
/// ```
/// # use oncely::with_lock;
/// #[with_lock(key = "ledger", constant)]
/// async fn book(cents: u64) -> Result<(), oncely::Error> {
///     Ok(())
/// }
/// ```
///
/// `lease`, `max_hold`, `wait`, `on_store_error`, `coordinator` and `crate` are as for
/// [`macro@idempotent`].
///
/// ```
/// # use oncely::{Coordinator, with_lock};
/// #[with_lock(
///     key = "stock:<article>",
///     lease = "10s",
///     max_hold = "1m",
///     on_store_error = "run",
///     coordinator = coordinator
/// )]
/// async fn restock(coordinator: &Coordinator, article: u64) -> Result<(), oncely::Error> {
///     Ok(())
/// }
/// ```
///
/// # What does not compile
///
/// What [`macro@idempotent`] says of templates, durations and signatures, and:
///
/// | written | the compiler says |
/// |---|---|
/// | nothing | `#[with_lock]` needs to know what to lock |
/// | `key` and `keys` | `key` and `keys` are both set |
/// | `keys = "order:<id>"` | `keys` is a list of templates |
/// | `key = "<id>", constant` | `constant` is set, and the key names an argument |
/// | `on_busy = "skpi"` | `skpi` is not a choice of `on_busy` |
/// | `on_busy = "skip"` on `Result<u64, …>` | `on_busy = "skip"` has nothing to return: `u64` is not an `Option` |
/// | `retention = "1h"` | `retention` is not an option of `#[with_lock]` |
/// | two of them on one function | `#[with_lock]` stands twice on one function |
#[proc_macro_attribute]
pub fn with_lock(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    attribute(Kind::WithLock, options.into(), item.into()).into()
}

/// Lets a newtype stand in a key, spelt as what it wraps.
///
/// ```
/// use oncely::{KeyPart, with_lock};
///
/// #[derive(KeyPart)]
/// struct OrderId(u64);
///
/// #[with_lock(key = "order:<id>")]
/// async fn ship(id: OrderId) -> Result<(), oncely::Error> {
///     Ok(())
/// }
/// ```
///
/// `#[key_part(crate = "path")]` says where this crate finds oncely, as for [`macro@idempotent`].
#[proc_macro_derive(KeyPart, attributes(key_part))]
pub fn key_part(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    expand::key_part(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
