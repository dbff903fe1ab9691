//! The nouns: what the attributes say and what the function is, parsed and not yet believed.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use syn::{Attribute, Expr, LitStr, Pat, Path, Signature, Type, Visibility};

/// An option of an attribute: where its name stands, and its value if that could be read.
pub(crate) struct Slot<T> {
    pub(crate) name: Option<Ident>,
    pub(crate) value: Option<T>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { name: None, value: None }
    }
}

impl<T> Slot<T> {
    /// Whether the option was written, readable or not.
    pub(crate) fn is_written(&self) -> bool {
        self.name.is_some()
    }

    /// The name and the value of an option that was written and could be read.
    pub(crate) fn given(&self) -> Option<(&Ident, &T)> {
        self.name.as_ref().zip(self.value.as_ref())
    }
}

/// What `#[idempotent(…)]` says.
#[derive(Default)]
pub(crate) struct Idempotent {
    pub(crate) key: Slot<Template>,
    pub(crate) operation: Slot<LitStr>,
    pub(crate) skip: Slot<Vec<Ident>>,
    pub(crate) retention: Slot<Duration>,
    pub(crate) timing: Timing,
    pub(crate) remember_errors: Slot<Remember>,
    pub(crate) on_interrupted: Slot<OnInterrupted>,
    pub(crate) detached: Slot<()>,
    /// The name of the transaction, and the pool to begin it on.
    pub(crate) begin: Slot<(Ident, Expr)>,
    pub(crate) scope: Slot<Template>,
}

/// What `#[with_lock(…)]` says.
#[derive(Default)]
pub(crate) struct Lock {
    pub(crate) key: Slot<Template>,
    pub(crate) keys: Slot<Vec<Template>>,
    pub(crate) constant: Slot<()>,
    pub(crate) timing: Timing,
    pub(crate) on_busy: Slot<OnBusy>,
}

/// What both attributes can say.
#[derive(Default)]
pub(crate) struct Timing {
    pub(crate) lease: Slot<Duration>,
    pub(crate) max_hold: Slot<Duration>,
    pub(crate) wait: Slot<Duration>,
    pub(crate) on_store_error: Slot<OnStoreError>,
    pub(crate) tx: Slot<Expr>,
    pub(crate) coordinator: Slot<Expr>,
    /// `crate = "…"`: where this crate finds oncely.
    pub(crate) path: Slot<Path>,
}

/// What `#[key_part(…)]` beside the derive says.
#[derive(Default)]
pub(crate) struct KeyPart {
    pub(crate) path: Slot<Path>,
}

/// A span of time, and how it was written.
#[derive(Clone)]
pub(crate) struct Duration {
    pub(crate) milliseconds: u64,
    pub(crate) literal: LitStr,
}

/// Which errors are outcomes.
pub(crate) enum Remember {
    All,
    If(Path),
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum OnInterrupted {
    Rerun,
    Hold,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum OnStoreError {
    Refuse,
    Run,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum OnBusy {
    Fail,
    Skip,
}

/// A template as it was written.
pub(crate) struct Template {
    pub(crate) literal: LitStr,
    pub(crate) parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// `<root.field.0>`
#[derive(Debug, PartialEq)]
pub(crate) struct Placeholder {
    /// What stands between the brackets, for messages.
    pub(crate) text: String,
    pub(crate) root: Root,
    pub(crate) fields: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Root {
    Receiver,
    Argument(String),
    Position(usize),
}

/// The function under the attributes. Its body stays raw tokens, so that half-typed code reaches
/// the compiler and the editor as it is.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// `#![…]` at the head of the body.
    pub(crate) inner_attributes: Vec<Attribute>,
    pub(crate) body: Body,
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
}

/// Where the body of the user stands.
pub(crate) enum Body {
    /// A declaration without one.
    None,
    /// In the braces of an `async fn`, with the type it gives, or none where none is written.
    Async(Group, Option<Type>),
    /// Inside the future that `#[async_trait]` has boxed already.
    Boxed(Boxed),
    /// In a function that is not `async`.
    Sync(Group),
}

/// A body that `#[async_trait]` has rewritten: the layers around it, outermost first.
pub(crate) struct Boxed {
    pub(crate) returns: Type,
    pub(crate) layers: Vec<Layer>,
    pub(crate) body: Group,
}

/// Tokens around a hole.
pub(crate) struct Layer {
    pub(crate) delimiter: Delimiter,
    pub(crate) span: Span,
    pub(crate) before: TokenStream,
    pub(crate) after: TokenStream,
}

/// `self`, and what the body calls it.
pub(crate) struct Receiver {
    pub(crate) name: Ident,
    pub(crate) borrowed: bool,
}

/// An argument other than `self`.
pub(crate) struct Argument {
    /// Under which `#[cfg(…)]` it is there.
    pub(crate) conditions: Vec<Attribute>,
    pub(crate) pattern: Pat,
    pub(crate) ty: Type,
    /// The names by which the body sees it.
    pub(crate) bindings: Vec<Ident>,
}
