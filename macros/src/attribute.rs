//! The whole way of an attribute, phase by phase: tokens in, tokens out.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::token::Paren;
use syn::{Attribute, MacroDelimiter, Meta, MetaList};

use crate::check::{Written, check};
use crate::diagnostics::Problems;
use crate::model::Function;
use crate::{expand, parse};

/// Which attribute.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Idempotent,
    WithLock,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Idempotent => "idempotent",
            Self::WithLock => "with_lock",
        }
    }

    pub(crate) fn of(attribute: &Attribute) -> Option<Self> {
        let last = attribute.path().segments.last()?;
        [Self::Idempotent, Self::WithLock].into_iter().find(|kind| last.ident == kind.name())
    }
}

/// What stands in the place of `item`. With a problem on it, the function comes back as it was: what
/// calls it still compiles, and the editor still knows it.
pub(crate) fn attribute(kind: Kind, options: TokenStream, item: TokenStream) -> TokenStream {
    if is_included(&options) {
        return item;
    }
    let mut problems = Problems::default();
    let mut function = match parse::item::function(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            no_function(kind, &item, error, &mut problems);
            let problems = problems.into_tokens();
            return quote!(#problems #item);
        }
    };
    let written = written(kind, options, &mut function, &mut problems);
    let expansion = check(&function, written, &mut problems).map(|it| expand::guarded(&it));
    expansion.unwrap_or_else(|| {
        let problems = problems.into_tokens();
        let function = expand::untouched(&function);
        quote!(#problems #function)
    })
}

/// A function whose signature cannot be read yet gets the parser's own words.
fn no_function(kind: Kind, item: &TokenStream, error: syn::Error, problems: &mut Problems) {
    let is_function = |token| matches!(token, TokenTree::Ident(word) if word == "fn");
    if item.clone().into_iter().any(is_function) {
        return problems.push(error);
    }
    let place = Ident::new(kind.name(), Span::call_site());
    let what = format!("`#[{place}]` protects a function, and this is none");
    problems.report(place, what, "write it at an `async fn` that returns a `Result`");
}

/// Reads this attribute, and takes the options of the other one.
fn written(
    kind: Kind,
    options: TokenStream,
    function: &mut Function,
    problems: &mut Problems,
) -> Written {
    let mut written = Written::default();
    add(&mut written, kind, options, problems);
    for attribute in &mut function.attributes {
        let Some(found) = Kind::of(attribute) else {
            continue;
        };
        let twice = match found {
            Kind::Idempotent => written.idempotent.is_some(),
            Kind::WithLock => written.lock.is_some(),
        };
        match &attribute.meta {
            _ if twice => repeated(found, attribute, problems),
            Meta::Path(_) => add(&mut written, found, TokenStream::new(), problems),
            Meta::List(list) => add(&mut written, found, list.tokens.clone(), problems),
            Meta::NameValue(_) => {
                let what = format!("`#[{}]` takes options in parentheses", found.name());
                let help = format!("write `#[{}(key = \"…\")]`", found.name());
                problems.report(&*attribute, what, help);
            }
        }
        include(attribute);
    }
    written
}

/// Marks an attribute as part of the other one's plan. It stays where it is, so that its name is
/// resolved and its import is used; when its turn comes it does nothing.
fn include(attribute: &mut Attribute) {
    attribute.meta = Meta::List(MetaList {
        path: attribute.path().clone(),
        delimiter: MacroDelimiter::Paren(Paren::default()),
        tokens: quote!(@included),
    });
}

fn is_included(options: &TokenStream) -> bool {
    let mut tokens = options.clone().into_iter();
    matches!(tokens.next(), Some(TokenTree::Punct(mark)) if mark.as_char() == '@')
        && matches!(tokens.next(), Some(TokenTree::Ident(word)) if word == "included")
}

fn add(written: &mut Written, kind: Kind, options: TokenStream, problems: &mut Problems) {
    match kind {
        Kind::Idempotent => written.idempotent = Some(parse::idempotent(options, problems)),
        Kind::WithLock => written.lock = Some(parse::lock(options, problems)),
    }
}

fn repeated(kind: Kind, attribute: &Attribute, problems: &mut Problems) {
    let what = format!("`#[{}]` stands twice on one function", kind.name());
    let help = match kind {
        Kind::Idempotent => "keep one; its template can name several arguments",
        Kind::WithLock => "take several locks with one `keys = [\"…\", \"…\"]`",
    };
    problems.report(attribute, what, help);
}
