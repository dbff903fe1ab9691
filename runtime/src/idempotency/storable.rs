//! What a function may give to be replayed, and by which way it is stored.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::Codec;
use crate::store::BoxFuture;

/// Stored as serde writes it.
#[derive(Clone, Copy, Debug)]
pub struct AsValue;

/// Stored as the HTTP response that it is.
#[derive(Clone, Copy, Debug)]
pub struct AsResponse;

/// A value that can be stored as an outcome and read back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored, so a repeated call could not return it",
    label = "its `Ok` type is not both `Serialize` and `DeserializeOwned`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for `{Self}`; what borrows cannot be read back"
)]
pub trait Storable<Way = AsValue>: Sized {
    /// How it is written and read.
    fn codec() -> Codec<Self>;

    /// What has to happen before it can be written, if anything.
    fn preparation() -> Option<Preparation<Self>> {
        None
    }
}

/// Makes a value ready to be written, while its call still holds the key.
pub type Preparation<T> = fn(T) -> BoxFuture<'static, T>;

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Storable for T {
    fn codec() -> Codec<Self> {
        Codec::json()
    }
}

/// A type that is stored [`AsResponse`], whether or not what is in it can be.
pub trait ResponseShape {}
