//! What compiles and is most likely not meant.

use proc_macro2::{Ident, Span, TokenTree};
use quote::ToTokens;

use super::{Fingerprinted, keys};
use crate::diagnostics::{Problems, enumerate};
use crate::model::{Argument, Function, Lock, Template};

/// A remark that the compiler makes at a place of the user's, as a lint that can be allowed.
pub(crate) struct Warning {
    /// What the lint is about.
    pub(crate) subject: &'static str,
    pub(crate) place: Span,
    pub(crate) text: String,
}

/// Lock keys that are the same for all calls of a function that has arguments, and is not said to
/// be meant so.
pub(super) fn constant_keys(
    function: &Function,
    lock: &Lock,
    problems: &mut Problems,
) -> Vec<Warning> {
    let several = lock.keys.value.iter().flatten();
    let templates: Vec<&Template> = lock.key.value.iter().chain(several).collect();
    let constant: Vec<&Template> = templates
        .iter()
        .filter(|template| keys::placeholders(template).next().is_none())
        .copied()
        .collect();
    if let Some(name) = &lock.constant.name {
        if constant.is_empty() && !templates.is_empty() {
            let what = "`constant` is set, and the key names an argument";
            problems.report(name, what, "leave `constant` out, or the placeholder");
        }
        return Vec::new();
    }
    let names = keys::names(function);
    let Some(first) = names.first() else {
        return Vec::new();
    };
    let name = &function.signature.ident;
    let warning = |template: &Template| Warning {
        subject: "CONSTANT_LOCK_KEY",
        place: template.literal.span(),
        text: format!(
            "this key names no argument, so all calls of `{name}` wait for each other; name what \
             they share, such as `<{first}>` (the arguments are {}), or write `constant` beside \
             the key if it is meant so",
            enumerate(&names)
        ),
    };
    constant.into_iter().map(warning).collect()
}

/// Arguments whose fingerprint says nothing, because a `HashSet` has no order.
pub(super) fn unordered(
    function: &Function,
    has_key: bool,
    fingerprinted: &[Fingerprinted],
) -> Vec<Warning> {
    let counts = |argument: &&Argument| {
        let is_counted = |name: &Ident| fingerprinted.iter().any(|counted| counted.name == *name);
        argument.bindings.iter().any(is_counted)
    };
    let warnings = function.arguments.iter().filter(counts).filter_map(|argument| {
        let set = hash_set(argument.ty.to_token_stream().into_iter())?;
        let name = argument.bindings.first()?;
        let then = match has_key {
            true => "a repeated call may be refused as `KeyReused`",
            false => "a repeated call may run again",
        };
        Some(Warning {
            subject: "ARGUMENT_WITHOUT_ORDER",
            place: set.span(),
            text: format!(
                "a `HashSet` has another order in every process, and so has the fingerprint of \
                 `{name}`: {then}; take a `BTreeSet`, or write `skip({name})`"
            ),
        })
    });
    warnings.collect()
}

/// The word `HashSet` in a type, wherever it stands.
fn hash_set(mut tokens: impl Iterator<Item = TokenTree>) -> Option<Ident> {
    tokens.find_map(|token| match token {
        TokenTree::Ident(word) if word == "HashSet" => Some(word),
        TokenTree::Group(group) => hash_set(group.stream().into_iter()),
        _ => None,
    })
}
