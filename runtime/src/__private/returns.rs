//! What a protected function may take and give, and what the compiler says when it does not.
//!
//! The bounds stand on plain functions that make a value ([`returns`], [`replays`], [`skipped`],
//! [`errors`]), each called with the function's own return type. What runs the call takes those
//! values and has no bounds itself: an `async fn` with bounds repeats an error at its call and at
//! its `await`, and this way there is one, at the type the user wrote.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

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
    note = "write `impl From<oncely::Error> for {Self}`, or `#[from] oncely::Error` in a variant"
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

/// A value that can be stored as an outcome and read back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored, so a repeated call could not return it",
    label = "its `Ok` type is not both `Serialize` and `DeserializeOwned`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}`; what borrows cannot be read back"
)]
pub trait Storable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Storable for T {}

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

/// An argument that takes part in the fingerprint of its call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take part in the fingerprint of the call",
    label = "this argument is not `Serialize`",
    note = "derive `serde::Serialize` for `{Self}`, or leave the argument out with `skip(…)`"
)]
pub trait Fingerprintable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Fingerprintable for T {}

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

    /// The `Result` that the body gave.
    pub fn into_result(&self, returned: R) -> Result<T, E> {
        (self.into)(returned)
    }

    /// The answer as the function returns it.
    pub fn from_result(&self, result: Result<T, E>) -> R {
        (self.from)(result)
    }

    /// The answer that says why the body did not run.
    pub fn refusal(&self, error: Error) -> R {
        self.from_result(Err((self.refuse)(error)))
    }

    /// The answer to a busy lock, unless that is an error.
    pub fn skip(&self) -> Option<R> {
        self.skipped.map(|skipped| self.from_result(Ok(skipped())))
    }
}

/// How a call answers, and how its outcome is stored and replayed.
pub struct Replays<R, T, E> {
    returns: Returns<R, T, E>,
    values: Codec<T>,
    errors: Option<Errors<R, E>>,
}

/// The answers and outcomes of a function that returns `R`.
pub fn replays<R>() -> Replays<R, R::Ok, R::Error>
where
    R: IsResult<Ok: Storable, Error: FromOncely>,
{
    Replays { returns: returns::<R>(), values: Codec::new(), errors: None }
}

impl<R, T, E> Replays<R, T, E> {
    /// The same, and errors are outcomes too.
    pub fn remembering(mut self, errors: Errors<R, E>) -> Self {
        self.errors = Some(errors);
        self
    }

    /// The same, and a busy lock is no error.
    pub fn skipping(mut self, skipped: fn() -> T) -> Self {
        self.returns = self.returns.skipping(skipped);
        self
    }

    /// How the call answers.
    pub fn returns(&self) -> &Returns<R, T, E> {
        &self.returns
    }

    /// How its values are stored.
    pub fn values(&self) -> &Codec<T> {
        &self.values
    }

    /// Which of its errors are outcomes, and how those are stored.
    pub fn errors(&self) -> Option<&Errors<R, E>> {
        self.errors.as_ref()
    }
}

/// Which errors of a function that returns `R` are outcomes.
pub struct Errors<R, E> {
    only: Option<fn(&E) -> bool>,
    codec: Codec<E>,
    function: PhantomData<fn() -> R>,
}

/// All errors of a function that returns `R` are outcomes.
pub fn errors<R>() -> Errors<R, R::Error>
where
    R: IsResult<Error: Rememberable>,
{
    Errors { only: None, codec: Codec::new(), function: PhantomData }
}

impl<R, E> Errors<R, E> {
    /// Only those for which `is_final` says so.
    pub fn only(mut self, is_final: fn(&E) -> bool) -> Self {
        self.only = Some(is_final);
        self
    }

    /// Whether this error is an outcome.
    pub fn remembers(&self, error: &E) -> bool {
        self.only.is_none_or(|is_final| is_final(error))
    }

    /// How the errors are stored.
    pub fn codec(&self) -> &Codec<E> {
        &self.codec
    }
}

/// How one type is stored: the place where its `Serialize` and `DeserializeOwned` are kept.
pub struct Codec<T> {
    encode: fn(&T) -> serde_json::Result<Vec<u8>>,
    decode: fn(&[u8]) -> serde_json::Result<T>,
}

impl<T: Serialize + DeserializeOwned> Codec<T> {
    fn new() -> Self {
        Self {
            encode: |value| serde_json::to_vec(value),
            decode: |bytes| serde_json::from_slice(bytes),
        }
    }
}

impl<T> Codec<T> {
    /// The stored form of a value.
    ///
    /// # Errors
    /// What the type's `Serialize` reports.
    pub fn encode(&self, value: &T) -> serde_json::Result<Vec<u8>> {
        (self.encode)(value)
    }

    /// The value that was stored.
    ///
    /// # Errors
    /// What the type's `Deserialize` reports.
    pub fn decode(&self, bytes: &[u8]) -> serde_json::Result<T> {
        (self.decode)(bytes)
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

named_in_debug!(Returns<R, T, E> Replays<R, T, E> Errors<R, E> Codec<T>);
