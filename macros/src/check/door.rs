//! The way from generated code to the runtime. No other place in this crate names it.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;

use super::Written;
use crate::diagnostics::Problems;
use crate::model::Timing;

/// `::oncely::__private`, or the same below the path by which the user's crate knows oncely.
pub(crate) struct Door(Option<Path>);

impl Door {
    pub(crate) fn new(path: Option<Path>) -> Self {
        Self(path)
    }

    /// What the attributes of one function say, as long as they agree.
    pub(super) fn of(written: &Written, problems: &mut Problems) -> Self {
        let of = |timing: &Timing| timing.path.value.clone();
        let first = written.idempotent.as_ref().and_then(|idempotent| of(&idempotent.timing));
        let second = written.lock.as_ref().and_then(|lock| of(&lock.timing));
        if let (Some(first), Some(second)) = (&first, &second)
            && first.to_token_stream().to_string() != second.to_token_stream().to_string()
        {
            let what = "the two attributes name different crates";
            problems.report(second, what, "name the same one; once is enough");
        }
        Self(first.or(second))
    }

    /// The path, standing at `place`.
    pub(crate) fn at(&self, place: Span) -> TokenStream {
        match &self.0 {
            None => quote_spanned!(place=> ::oncely::__private),
            Some(path) => {
                let path = moved(path.to_token_stream(), place);
                quote_spanned!(place=> #path::__private)
            }
        }
    }
}

impl ToTokens for Door {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.at(Span::mixed_site()));
    }
}

/// The same tokens at another place: errors are shown there, and names, `$crate` among them, keep
/// what they mean.
fn moved(tokens: TokenStream, place: Span) -> TokenStream {
    let moved = |token: TokenTree| match token {
        TokenTree::Group(group) => {
            Group::new(group.delimiter(), moved(group.stream(), place)).into()
        }
        mut other => {
            other.set_span(other.span().located_at(place));
            other
        }
    };
    tokens.into_iter().map(moved).collect()
}
