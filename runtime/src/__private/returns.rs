//! What a protected function may return and take, and what the compiler says when it does not.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// A `Result`, under whatever alias the function names it.
#[diagnostic::on_unimplemented(
    message = "a protected function returns a `Result`, and `{Self}` is none",
    label = "not a `Result`",
    note = "being refused is an outcome too: return `Result<T, E>` with `E: From<oncely::Error>`"
)]
pub trait IsResult: Sized {
    /// What the body gives.
    type Ok;
    /// What it fails with.
    type Error;
    /// The same value, as the `Result` it is.
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
    message = "`{Self}` cannot say that a call was refused: it has no `From<oncely::Error>`",
    label = "the error type lacks `From<oncely::Error>`",
    note = "write `impl From<oncely::Error> for {Self}`, or `#[from] oncely::Error` in one of its variants"
)]
pub trait FromOncely: Sized {
    /// The refusal as an error of the function.
    fn from_oncely(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> FromOncely for E {
    fn from_oncely(error: Error) -> Self {
        error.into()
    }
}

/// A value that can be stored as an outcome and read back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored, so a repeated call could not return it",
    label = "not both `Serialize` and `DeserializeOwned`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; a value that borrows cannot be read back"
)]
pub trait Storable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Storable for T {}

/// An `Ok` value that can say that the lock was busy.
#[diagnostic::on_unimplemented(
    message = "`on_busy = \"skip\"` needs a function that returns `Result<Option<T>, E>`, and `Ok` here is `{Self}`",
    label = "cannot say that the call was skipped",
    note = "return `Result<Option<{Self}>, E>`, or leave `on_busy` out to fail instead"
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

/// An argument that takes part in the fingerprint.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take part in the fingerprint of the call",
    label = "not `Serialize`",
    note = "derive `serde::Serialize` for it, or leave the argument out with `skip(…)`"
)]
pub trait Fingerprintable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Fingerprintable for T {}

/// An error that can be an outcome of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored, so `remember_errors` could not replay it",
    label = "not both `Serialize` and `DeserializeOwned`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, or leave `remember_errors` out"
)]
pub trait Rememberable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<E: Serialize + DeserializeOwned> Rememberable for E {}
