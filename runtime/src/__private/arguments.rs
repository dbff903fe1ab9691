//! Which part an argument plays in its call. Its type decides: a macro sees only how that is
//! spelt.
//!
//! The expansion calls `add` on a type of this file, which names the type of the argument. Each of
//! them has the method for some types only, and dereferences to the next one, so the compiler
//! takes the first that fits:
//!
//! ```text
//! Argument → Keys → Carriers → Counted     an argument that has a name
//! PartOf → Counted                         a name inside the pattern of an argument
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::Serialize;

use crate::model::{self, CallKey, Carrier, Carries, Fingerprintable, Unfingerprinted};

/// The arguments of a call. `V` says whether they tell one call from another.
pub struct Arguments<V = Constant> {
    arguments: model::Arguments,
    varies: PhantomData<V>,
}

/// Nothing so far tells one call from another.
#[derive(Debug)]
pub struct Constant;

/// Something does.
#[derive(Debug)]
pub struct Varying;

/// Arguments that tell one call from another.
#[diagnostic::on_unimplemented(
    message = "no argument of this function tells one call from another, so it would run once and \
               for all",
    label = "all of its arguments are left out by their types",
    note = "take an `IdempotencyKey`, write `key = \"…\"`, or give it an argument that says what \
            the call is about"
)]
pub trait Varies {}

impl Varies for Varying {}

impl Arguments {
    /// No arguments yet.
    pub fn new() -> Self {
        Self { arguments: model::Arguments::new(), varies: PhantomData }
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Arguments<V> {
    /// The same, where they are all there is to tell one call from another.
    pub fn varying(self) -> Self
    where
        V: Varies,
    {
        self
    }

    fn map(self, next: impl FnOnce(model::Arguments) -> model::Arguments) -> Arguments<Varying> {
        Arguments { arguments: next(self.arguments), varies: PhantomData }
    }
}

impl<V> From<Arguments<V>> for model::Arguments {
    fn from(arguments: Arguments<V>) -> Self {
        arguments.arguments
    }
}

impl<V> fmt::Debug for Arguments<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.arguments, f)
    }
}

/// An argument of type `A` that has a name.
pub struct Argument<A: ?Sized>(Keys<A>);

/// Such an argument, unless it is left out.
pub struct Keys<A: ?Sized>(Carriers<A>);

/// Such an argument, unless it is left out or the key.
pub struct Carriers<A: ?Sized>(Counted<A>);

/// A name inside the pattern of an argument of type `A`.
pub struct PartOf<A: ?Sized>(Counted<A>);

/// What is part of the fingerprint.
pub struct Counted<A: ?Sized>(PhantomData<fn(&A)>);

impl<A: ?Sized> Argument<A> {
    /// The one value of this type.
    pub const TYPE: Self = Self(Keys(Carriers(Counted::TYPE)));
}

impl<A: ?Sized> PartOf<A> {
    /// The one value of this type.
    pub const TYPE: Self = Self(Counted::TYPE);
}

impl<A: ?Sized> Counted<A> {
    /// The one value of this type.
    pub const TYPE: Self = Self(PhantomData);
}

macro_rules! left_out {
    ($place:ident) => {
        impl<A: Unfingerprinted + ?Sized> $place<A> {
            /// These arguments: this one is left out of them.
            pub fn add<V, B: ?Sized>(&self, arguments: Arguments<V>, _: &B) -> Arguments<V> {
                arguments
            }

            /// The same for a type that depends on a parameter.
            pub fn add_generic<V, B: ?Sized>(&self, before: Arguments<V>, _: &B) -> Arguments<V> {
                before
            }
        }
    };
}

left_out!(Argument);
left_out!(PartOf);

impl<A: CallKey + ?Sized> Keys<A> {
    /// These arguments, and the key of the call.
    pub fn add<V, B: CallKey + ?Sized>(&self, before: Arguments<V>, key: &B) -> Arguments<Varying> {
        before.map(|arguments| arguments.named_by(key.call_key()))
    }

    /// The same for a type that depends on a parameter.
    pub fn add_generic<V, B: CallKey + ?Sized>(
        &self,
        before: Arguments<V>,
        key: &B,
    ) -> Arguments<Varying> {
        self.add(before, key)
    }
}

impl<A: Carrier + ?Sized> Carriers<A> {
    /// These arguments, and what this one carries.
    pub fn add<V, B: Carries + ?Sized>(
        &self,
        before: Arguments<V>,
        argument: &B,
    ) -> Arguments<Varying> {
        before.map(|arguments| argument.count(arguments))
    }

    /// The same for a type that depends on a parameter.
    pub fn add_generic<V, B: Carries + ?Sized>(
        &self,
        before: Arguments<V>,
        argument: &B,
    ) -> Arguments<Varying> {
        self.add(before, argument)
    }
}

impl<A: ?Sized> Counted<A> {
    /// These arguments and one more.
    pub fn add<V, B: Fingerprintable + ?Sized>(
        &self,
        before: Arguments<V>,
        argument: &B,
    ) -> Arguments<Varying> {
        before.map(|arguments| arguments.with(argument))
    }

    /// The same for a type that depends on a parameter: the compiler then suggests its bound.
    pub fn add_generic<V, B: Serialize + ?Sized>(
        &self,
        before: Arguments<V>,
        argument: &B,
    ) -> Arguments<Varying> {
        self.add(before, argument)
    }
}

macro_rules! otherwise {
    ($($place:ident => $next:ident),+) => {$(
        impl<A: ?Sized> Deref for $place<A> {
            type Target = $next<A>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )+};
}

macro_rules! named_in_debug {
    ($($name:ident)+) => {$(
        impl<A: ?Sized> fmt::Debug for $name<A> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )+};
}

otherwise!(Argument => Keys, Keys => Carriers, Carriers => Counted, PartOf => Counted);
named_in_debug!(Argument Keys Carriers Counted PartOf);
