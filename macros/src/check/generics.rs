//! Types that depend on a parameter. What they lack is said in the words of the compiler, which
//! then names the bound to write; what other types lack is said in ours.

use proc_macro2::TokenTree;
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type};

use crate::model::Function;
use crate::parse::item::bare;

/// Whether a type names a type parameter of the function, or something that looks like one of the
/// `impl` block around it, which an attribute cannot see.
pub(super) fn mentions_parameter(function: &Function, ty: &Type) -> bool {
    let own: Vec<String> =
        function.signature.generics.type_params().map(|it| it.ident.to_string()).collect();
    any_word(ty, |word| own.iter().any(|own| own == word) || looks_like_parameter(word))
}

/// Whether a type is or holds an `impl Trait`, which in an argument is a parameter too.
pub(super) fn is_opaque(ty: &Type) -> bool {
    any_word(ty, |word| word == "impl")
}

/// Whether a type is one of the language's own, or `String`, or a reference to one: it has no part to
/// play but its value, and the compiler need not be asked.
pub(super) fn is_plain(ty: &Type) -> bool {
    match bare(ty) {
        Type::Reference(reference) => is_plain(&reference.elem),
        Type::Path(path) => {
            path.path.get_ident().is_some_and(|name| PLAIN.contains(&&*name.to_string()))
        }
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        _ => false,
    }
}

const PLAIN: [&str; 18] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16",
    "u32", "u64", "u128", "usize", "String",
];

/// Whether a type is an alias of `Result` whose first argument is plain.
pub(super) fn gives_plain(ty: &Type) -> bool {
    let Type::Path(path) = bare(ty) else {
        return false;
    };
    let last = path.path.segments.last().map(|segment| &segment.arguments);
    match last {
        Some(PathArguments::AngleBracketed(arguments)) => match arguments.args.first() {
            Some(GenericArgument::Type(first)) => is_plain(first),
            _ => false,
        },
        _ => false,
    }
}

fn any_word(ty: &Type, is_it: impl Fn(&str) -> bool) -> bool {
    let mut streams = vec![ty.to_token_stream()];
    while let Some(tokens) = streams.pop() {
        for token in tokens {
            match token {
                TokenTree::Ident(word) if is_it(&word.to_string()) => return true,
                TokenTree::Group(group) => streams.push(group.stream()),
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    false
}

/// `T`, `K`, `T1`
fn looks_like_parameter(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().skip(1).all(|digit| digit.is_ascii_digit())
}
