//! The namespace of an idempotency key: which function's calls it belongs to.

use std::borrow::Cow;
use std::sync::Arc;

/// The name of an idempotent operation. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operation(Name);

#[derive(Clone, Debug)]
enum Name {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Operation {
    /// An operation with a name of its own, which survives every rename of the code.
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self(match name.into() {
            Cow::Borrowed(name) => Name::Static(name),
            Cow::Owned(name) => Name::Shared(name.into()),
        })
    }

    /// The same where the name is known when the program is compiled.
    pub(crate) const fn fixed(name: &'static str) -> Self {
        Self(Name::Static(name))
    }

    /// The operation's name.
    pub fn name(&self) -> &str {
        self.0.as_str()
    }
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Name {}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
