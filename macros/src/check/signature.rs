//! What the function itself must be: asynchronous, answering, and fit to be compared.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Expr, GenericArgument, Pat, PathArguments, Type};

use super::Fingerprinted;
use super::generics::{is_opaque, is_plain, mentions_parameter};
use crate::diagnostics::{Problems, instead};
use crate::model::{Body, Function, Idempotent};
use crate::parse::item::{bare, bindings};

/// The type the body gives, if there is an asynchronous body that gives one.
pub(super) fn returns(function: &Function, problems: &mut Problems) -> Option<Type> {
    let signature = &function.signature;
    let name = &signature.ident;
    let result = "write `-> Result<T, E>` with `E: From<oncely::Error>`: being refused is an \
                  outcome too";
    let returns = match &function.body {
        Body::Async(_, Some(returns)) => returns,
        Body::Boxed(boxed) => &boxed.returns,
        Body::Async(_, None) => {
            problems.report(name, format_args!("`{name}` returns nothing"), result);
            return None;
        }
        Body::None => {
            let help = "a declaration runs nothing: write the attribute at each implementation";
            problems.report(name, format_args!("`{name}` has no body"), help);
            return None;
        }
        Body::Sync(_) => {
            let help = "write `async fn`; the store is asked before the body runs";
            problems.report(signature.fn_token, format_args!("`{name}` is not `async`"), help);
            return None;
        }
    };
    if let Some(shape) = no_result(returns) {
        problems.report(returns, format_args!("`{name}` returns {shape}, not a `Result`"), result);
        return None;
    }
    Some(returns.clone())
}

/// Types that no alias can turn into a `Result`. The rest is left to the compiler, which knows
/// what a name stands for.
fn no_result(ty: &Type) -> Option<&'static str> {
    match bare(ty) {
        Type::Array(_) | Type::Slice(_) => Some("an array"),
        Type::FnPtr(_) => Some("a function"),
        Type::ImplTrait(_) => Some("an opaque type"),
        Type::Never(_) => Some("never"),
        Type::Ptr(_) => Some("a pointer"),
        Type::Reference(_) => Some("a reference"),
        Type::TraitObject(_) => Some("a trait object"),
        Type::Tuple(tuple) if tuple.elems.is_empty() => Some("nothing"),
        Type::Tuple(_) => Some("a tuple"),
        _ => None,
    }
}

/// A replay has nobody to borrow from.
pub(super) fn owned(function: &Function, returns: &Type, problems: &mut Problems) {
    let Type::Path(path) = bare(returns) else {
        return;
    };
    let Some(PathArguments::AngleBracketed(arguments)) =
        path.path.segments.last().map(|segment| &segment.arguments)
    else {
        return;
    };
    if let Some(GenericArgument::Type(ty)) = arguments.args.first()
        && let Type::Reference(_) = bare(ty)
    {
        let name = &function.signature.ident;
        let what = format!("`{name}` returns a reference, and a stored outcome belongs to nobody");
        problems.report(ty, what, "return an owned value, such as `String` for `&str`");
    }
}

/// Arguments that cannot be what the attribute needs them to be.
pub(super) fn arguments(function: &Function, idempotent: &Idempotent, problems: &mut Problems) {
    skipped(function, idempotent, problems);
    let tx = &idempotent.timing.tx;
    // Which argument is the transaction is not said, and reported elsewhere.
    let is_unclear = tx.is_written() && !matches!(tx.value, Some(Expr::Path(_)));
    let parts = function.arguments.iter().flat_map(|it| parts(&it.pattern, &it.ty));
    for (pattern, ty) in parts.filter(|(_, ty)| !is_unclear && holds_mutable(ty)) {
        let mut names = Vec::new();
        bindings(pattern, &mut names);
        names.retain(|name| !is_left_out(name, idempotent));
        if names.is_empty() {
            continue;
        }
        let name = pattern.to_token_stream();
        let verb = match bare(ty) {
            Type::Reference(reference) if reference.mutability.is_some() => "is",
            _ => "holds a",
        };
        let what = format!("`{name}` {verb} `&mut`: a replay could not repeat what is done to it");
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let help = format!("take it by value, or leave it out with `skip({})`", names.join(", "));
        problems.report(ty, what, help);
    }
    if idempotent.detached.is_written() {
        detached(function, problems);
    }
}

/// What is fingerprinted: all arguments but `self`, the transaction or its pool, and the skipped ones.
pub(super) fn fingerprinted(function: &Function, idempotent: &Idempotent) -> Vec<Fingerprinted> {
    let counted = function.arguments.iter().flat_map(|argument| {
        let is_whole = matches!(&argument.pattern, Pat::Ident(name) if name.subpat.is_none());
        let is_reference = matches!(argument.pattern, Pat::Ident(_))
            && matches!(bare(&argument.ty), Type::Reference(_));
        let names = argument.bindings.iter().filter(|name| !is_left_out(name, idempotent));
        names.map(move |name| Fingerprinted {
            name: name.clone(),
            ty: (!is_opaque(&argument.ty) && !is_plain(&argument.ty)).then(|| argument.ty.clone()),
            is_whole,
            is_reference,
            is_generic: mentions_parameter(function, &argument.ty) || is_opaque(&argument.ty),
            conditions: argument.conditions.clone(),
        })
    });
    counted.collect()
}

fn is_left_out(name: &Ident, idempotent: &Idempotent) -> bool {
    let is_it = |expr: &Expr| matches!(expr, Expr::Path(path) if path.path.is_ident(name));
    idempotent.skip.value.iter().flatten().any(|skipped| skipped == name)
        || idempotent.timing.tx.value.as_ref().is_some_and(is_it)
        || idempotent.begin.value.as_ref().is_some_and(|(_, pool)| is_it(pool))
}

/// An argument, or what it is made of if it is a tuple that is taken apart.
fn parts<'a>(pattern: &'a Pat, ty: &'a Type) -> Vec<(&'a Pat, &'a Type)> {
    match (pattern, bare(ty)) {
        (Pat::Tuple(patterns), Type::Tuple(types)) if patterns.elems.len() == types.elems.len() => {
            let pairs = patterns.elems.iter().zip(&types.elems);
            pairs.flat_map(|(pattern, ty)| parts(pattern, ty)).collect()
        }
        _ => vec![(pattern, ty)],
    }
}

/// Whether a type is or holds a `&mut`. What a function takes is not held by it.
fn holds_mutable(ty: &Type) -> bool {
    match bare(ty) {
        Type::Reference(reference) => {
            reference.mutability.is_some() || holds_mutable(&reference.elem)
        }
        Type::Tuple(tuple) => tuple.elems.iter().any(holds_mutable),
        Type::Array(array) => holds_mutable(&array.elem),
        Type::Slice(slice) => holds_mutable(&slice.elem),
        Type::Path(path) => path.path.segments.iter().any(|segment| match &segment.arguments {
            PathArguments::AngleBracketed(arguments) => arguments
                .args
                .iter()
                .any(|argument| matches!(argument, GenericArgument::Type(ty) if holds_mutable(ty))),
            _ => false,
        }),
        _ => false,
    }
}

fn skipped(function: &Function, idempotent: &Idempotent, problems: &mut Problems) {
    let known: Vec<String> = function
        .arguments
        .iter()
        .flat_map(|argument| &argument.bindings)
        .map(ToString::to_string)
        .collect();
    let mut seen: Vec<&Ident> = Vec::new();
    for name in idempotent.skip.value.iter().flatten() {
        let word = name.to_string();
        if word == "self" {
            let help = "leave it out: `self` is never part of the fingerprint";
            problems.report(name, "`skip(self)` changes nothing", help);
        } else if !known.contains(&word) {
            let function = &function.signature.ident;
            let what = format!("`{word}` is not an argument of `{function}`");
            let help = match known.is_empty() {
                true => "it has none; leave `skip` out".to_owned(),
                false => instead(&word, "arguments", &known),
            };
            problems.report(name, what, help);
        } else if seen.contains(&name) {
            problems.report(name, format_args!("`{word}` is skipped twice"), "name it once");
        }
        seen.push(name);
    }
}

/// A detached body outlives its caller, so it cannot look at anything that belongs to the caller.
fn detached(function: &Function, problems: &mut Problems) {
    let help = "a detached body may outlive its caller: take the value itself, or an `Arc` of it";
    if let Some(receiver) = function.signature.receiver()
        && function.receiver.as_ref().is_some_and(|receiver| receiver.borrowed)
    {
        problems.report(receiver, "`self` is borrowed, and `detached` is set", help);
    }
    for argument in &function.arguments {
        if let Type::Reference(reference) = bare(&argument.ty)
            && reference.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident != "static")
        {
            let name = argument.pattern.to_token_stream();
            let what = format!("`{name}` is borrowed, and `detached` is set");
            problems.report(&argument.ty, what, help);
        }
    }
}
