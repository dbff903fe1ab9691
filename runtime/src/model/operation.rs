//! The namespace of an idempotency key: which function's calls it belongs to.

use std::borrow::Cow;

/// The name of an idempotent operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation(Cow<'static, str>);

impl Operation {
    /// An operation with a name of its own, which survives every rename of the code.
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self(name.into())
    }

    /// The operation's name.
    pub fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}
