//! What the type of an argument says about its part in a call.

use std::sync::Arc;

use serde::Serialize;

use super::Arguments;

/// An argument that takes part in the fingerprint of its call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot take part in the fingerprint of the call",
    label = "this argument is not `Serialize`",
    note = "leave the argument out with `skip(…)`, or derive `serde::Serialize` for `{Self}` if it is \
            your own",
    note = "a type of your own that never says what a call is about, such as a client or the caller's \
            session, is left out wherever it stands with `impl oncely::Unfingerprinted for {Self} {{}}`"
)]
pub trait Fingerprintable: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> Fingerprintable for T {}

/// An argument that is left out of the fingerprint wherever it stands: a client, a pool, a clock,
/// the caller's session.
///
/// What such an argument is does not make a call another one. `skip(…)` at the attribute says the
/// same of one argument of one function. axum's `State`, `Extension`, `HeaderMap` and `ConnectInfo`
/// are left out already (feature `axum`), and so is a [`Coordinator`](crate::Coordinator).
///
/// ```
/// # #[cfg(feature = "macros")] {
/// use oncely::{Unfingerprinted, idempotent};
///
/// struct Bank;
///
/// impl Unfingerprinted for Bank {}
///
/// #[idempotent(key = "pay:<order_id>")]
/// async fn pay(bank: &Bank, order_id: u64, cents: u64) -> Result<u64, oncely::Error> {
///     Ok(cents)
/// }
/// # }
/// ```
pub trait Unfingerprinted {}

impl<T: Unfingerprinted + ?Sized> Unfingerprinted for &T {}
impl<T: Unfingerprinted + ?Sized> Unfingerprinted for &mut T {}
impl<T: Unfingerprinted + ?Sized> Unfingerprinted for Arc<T> {}
impl<T: Unfingerprinted + ?Sized> Unfingerprinted for Box<T> {}
impl<T: Unfingerprinted> Unfingerprinted for Option<T> {}

/// An argument that is the key of its call where the attribute has no `key`.
pub trait CallKey {
    /// The key; `None` for a call that has none and is like no other.
    fn call_key(&self) -> Option<&str>;
}

impl<T: CallKey + ?Sized> CallKey for &T {
    fn call_key(&self) -> Option<&str> {
        (**self).call_key()
    }
}

impl<T: CallKey> CallKey for Option<T> {
    fn call_key(&self) -> Option<&str> {
        self.as_ref().and_then(CallKey::call_key)
    }
}

/// A type around something else that is what the call is about, such as axum's `Json<T>`.
///
/// Without a bound on what it is around, so that what that lacks is said of it and not of the type
/// around it.
pub trait Carrier {}

impl<T: Carrier + ?Sized> Carrier for &T {}
impl<T: Carrier> Carrier for Option<T> {}

/// A [`Carrier`] of something that can be fingerprinted.
pub trait Carries: Carrier {
    /// These arguments, and what this one carries.
    fn count(&self, arguments: Arguments) -> Arguments;
}

impl<T: Carries + ?Sized> Carries for &T {
    fn count(&self, arguments: Arguments) -> Arguments {
        (**self).count(arguments)
    }
}

impl<T: Carries> Carries for Option<T> {
    fn count(&self, arguments: Arguments) -> Arguments {
        match self {
            // Told apart from anything that is there: a carrier counts as what it carries.
            None => arguments.with(&None::<()>),
            Some(carrier) => carrier.count(arguments),
        }
    }
}
