//! What a protected function may take and give, and what the compiler says when it does not.
//!
//! The bounds stand on plain functions that make a value ([`returns`], [`replays`], [`skipped`],
//! [`errors`]), each called with the function's own return type. What runs the call takes those
//! values and has no bounds itself: an `async fn` with bounds repeats an error at its call and at
//! its `await`, and this way there is one, at the type the user wrote.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::idempotency::{
    AsResponse, AsValue, Codec, ErrorPolicy, Outcomes, Preparation, ResponseShape, Storable,
};
use crate::model::{Error, ErrorKind, Failure};

/// A `Result`, under whatever alias a function names it.
#[diagnostic::on_unimplemented(
    message = "a protected function returns a `Result`, and `{Self}` is none",
    label = "not a `Result`",
    note = "return `Result<T, E>` with `E: From<oncely::Error>`: being refused is an outcome too"
)]
pub trait IsResult: Sized {
    /// What the body gives.
    type Ok;
    /// What the body fails with.
    type Error;

    /// This `Result`.
    fn into_result(self) -> Result<Self::Ok, Self::Error>;

    /// The `Result` as the function names it.
    fn from_result(result: Result<Self::Ok, Self::Error>) -> Self;
}

impl<T, E> IsResult for Result<T, E> {
    type Ok = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }

    fn from_result(result: Self) -> Self {
        result
    }
}

/// An error type that can carry a refusal.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot carry a refusal: it lacks `From<oncely::Error>`",
    label = "its error type lacks `From<oncely::Error>`",
    note = "write `impl From<oncely::Error> for {Self}`, or `#[from] oncely::Error` in a variant",
    note = "an error of another crate, such as `std::io::Error`, can become a variant of yours; \
            `anyhow::Error` takes every error as it is"
)]
pub trait FromOncely: Sized {
    /// The refusal as an error of the function.
    fn from_oncely(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> FromOncely for E {
    fn from_oncely(error: Error) -> Self {
        Self::from(error)
    }
}

/// An error that can be an outcome.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored, so `remember_errors` could not replay it",
    label = "its error type is not both `Serialize` and `DeserializeOwned`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}`, or leave `remember_errors` out"
)]
pub trait Rememberable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<E: Serialize + DeserializeOwned> Rememberable for E {}

/// A value that can say that the call was skipped.
#[diagnostic::on_unimplemented(
    message = "`on_busy = \"skip\"` has nothing to return: `{Self}` is not an `Option`",
    label = "its `Ok` type is not an `Option`",
    note = "return `Result<Option<{Self}>, E>`, where `Ok(None)` says that the lock was busy, or leave `on_busy` out to fail"
)]
pub trait Skippable: Sized {
    /// The value of a call that was skipped.
    fn skipped() -> Self;
}

impl<T> Skippable for Option<T> {
    fn skipped() -> Self {
        None
    }
}

/// How a call answers when its body does not run, with `R` a `Result<T, E>`.
pub struct Returns<R, T, E> {
    into: fn(R) -> Result<T, E>,
    from: fn(Result<T, E>) -> R,
    refuse: fn(Error) -> E,
    skipped: Option<fn() -> T>,
}

/// The answers of a function that returns `R`.
pub fn returns<R>() -> Returns<R, R::Ok, R::Error>
where
    R: IsResult<Error: FromOncely>,
{
    Returns {
        into: R::into_result,
        from: R::from_result,
        refuse: R::Error::from_oncely,
        skipped: None,
    }
}

/// The same for an `R` that depends on a parameter: the compiler then suggests its bound.
pub fn returns_generic<R>() -> Returns<R, R::Ok, R::Error>
where
    R: IsResult<Error: From<Error>>,
{
    returns::<R>()
}

/// What a function that returns `R` gives when the lock is busy.
pub fn skipped<R>() -> fn() -> R::Ok
where
    R: IsResult<Ok: Skippable>,
{
    R::Ok::skipped
}

impl<R, T, E> Returns<R, T, E> {
    /// The same, and a busy lock is no error.
    pub fn skipping(mut self, skipped: fn() -> T) -> Self {
        self.skipped = Some(skipped);
        self
    }

    /// Reads what the body returned as the `Result` it is.
    pub(super) fn reader(&self) -> fn(R) -> Result<T, E> {
        self.into
    }

    /// The answer to a failed call.
    pub(super) fn failure(&self, failure: Failure<E>) -> R {
        match (failure, self.skipped) {
            (Failure::Oncely(error), Some(skipped)) if error.kind() == ErrorKind::LockBusy => {
                (self.from)(Ok(skipped()))
            }
            (Failure::Oncely(error), _) => (self.from)(Err((self.refuse)(error))),
            (Failure::Body(error) | Failure::Replayed(error), _) => (self.from)(Err(error)),
        }
    }

    /// The answer that gives a value.
    pub(super) fn value(&self, value: T) -> R {
        (self.from)(Ok(value))
    }
}

/// How a call answers, and how its outcome is stored and replayed.
pub struct Replays<R, T, E> {
    pub(super) returns: Returns<R, T, E>,
    pub(super) outcomes: Outcomes<T, E>,
    pub(super) preparation: Option<Preparation<T>>,
}

/// What a function returns, and by which way its outcomes are stored. Without bounds, so that both
/// types are known where there are some.
pub struct Returned<R, W>(PhantomData<fn(R, W)>);

/// A function that returns `R`: `returned()` finds the way by which its outcomes are stored. A
/// response is one whatever it is made of; the rest are values.
pub struct Stored<R>(Value<R>);

/// A function that returns no response.
pub struct Value<R>(PhantomData<fn(R)>);

impl<R> Stored<R> {
    /// The one value of this type.
    pub const TYPE: Self = Self(Value::TYPE);
}

impl<R> Value<R> {
    /// The one value of this type.
    pub const TYPE: Self = Self(PhantomData);
}

impl<R: IsResult<Ok: ResponseShape>> Stored<R> {
    /// As a response.
    pub fn returned(&self) -> Returned<R, AsResponse> {
        Returned(PhantomData)
    }
}

impl<R> Value<R> {
    /// As a value.
    pub fn returned(&self) -> Returned<R, AsValue> {
        Returned(PhantomData)
    }
}

impl<R> Deref for Stored<R> {
    type Target = Value<R>;

    fn deref(&self) -> &Value<R> {
        &self.0
    }
}

/// The answers and outcomes of a function.
pub fn replays<R, W>(_: Returned<R, W>) -> Replays<R, R::Ok, R::Error>
where
    R: IsResult<Ok: Storable<W>, Error: FromOncely>,
{
    let outcomes = Outcomes { values: R::Ok::codec(), errors: ErrorPolicy::Forget };
    Replays { returns: returns::<R>(), outcomes, preparation: R::Ok::preparation() }
}

/// The same for an `R` that depends on a parameter: the compiler then suggests its bound.
pub fn replays_generic<R, W>(_: Returned<R, W>) -> Replays<R, R::Ok, R::Error>
where
    R: StoredBy<W>,
{
    R::replays()
}

/// A `Result` that depends on a parameter, and is stored that way.
pub trait StoredBy<Way>: IsResult {
    /// Its answers and outcomes.
    fn replays() -> Replays<Self, Self::Ok, Self::Error>;
}

impl<R> StoredBy<AsValue> for R
where
    R: IsResult<Ok: Serialize + DeserializeOwned, Error: From<Error>>,
{
    fn replays() -> Replays<R, R::Ok, R::Error> {
        replays(Returned::<R, AsValue>(PhantomData))
    }
}

impl<R> StoredBy<AsResponse> for R
where
    R: IsResult<Ok: Storable<AsResponse>, Error: From<Error>>,
{
    fn replays() -> Replays<R, R::Ok, R::Error> {
        replays(Returned::<R, AsResponse>(PhantomData))
    }
}

impl<R, T, E> Replays<R, T, E> {
    /// The same, and errors are outcomes too.
    pub fn remembering(mut self, errors: Errors<E>) -> Self {
        self.outcomes.errors = errors.0;
        self
    }

    /// The same, and a busy lock is no error.
    pub fn skipping(mut self, skipped: fn() -> T) -> Self {
        self.returns = self.returns.skipping(skipped);
        self
    }
}

/// Which errors of a function are outcomes.
pub struct Errors<E>(ErrorPolicy<E>);

/// All errors of a function that returns `R` are outcomes.
pub fn errors<R>() -> Errors<R::Error>
where
    R: IsResult<Error: Rememberable>,
{
    Errors(ErrorPolicy::Remember(Codec::json(), None))
}

/// The same for an `R` that depends on a parameter: the compiler then suggests its bound.
pub fn errors_generic<R>() -> Errors<R::Error>
where
    R: IsResult<Error: Serialize + DeserializeOwned>,
{
    errors::<R>()
}

impl<E: 'static> Errors<E> {
    /// Only those for which `is_final` says so.
    pub fn only(self, is_final: fn(&E) -> bool) -> Self {
        Self(match self.0 {
            ErrorPolicy::Forget => ErrorPolicy::Forget,
            ErrorPolicy::Remember(codec, _) => {
                ErrorPolicy::Remember(codec, Some(Box::new(is_final)))
            }
        })
    }
}

macro_rules! named_in_debug {
    ($($name:ident<$($parameter:ident),+>)+) => {$(
        impl<$($parameter),+> fmt::Debug for $name<$($parameter),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )+};
}

named_in_debug!(Returns<R, T, E> Replays<R, T, E> Errors<E> Stored<R> Value<R> Returned<R, W>);
