//! Templates, held against the arguments they name.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::LitStr;
use syn::parse_str;

use super::Fingerprinted;
use crate::diagnostics::{Problems, enumerate, nearest};
use crate::model::{Function, Idempotent, Part, Placeholder, Root, Slot, Template};

/// A template whose every placeholder is something the function has.
pub(crate) struct Key {
    pub(crate) pieces: Vec<Piece>,
}

pub(crate) enum Piece {
    Text(LitStr),
    /// A place expression such as `request.order.id`, and where its template stands.
    Part {
        place: TokenStream,
        literal: Span,
    },
}

/// Resolves the template of an option, and reports what the function does not have.
pub(super) fn resolved(
    function: &Function,
    slot: &Slot<Template>,
    problems: &mut Problems,
) -> Option<Key> {
    let (option, template) = slot.given()?;
    let span = template.literal.span();
    let mut pieces = Vec::new();
    for part in &template.parts {
        pieces.push(match part {
            Part::Text(text) => {
                braces(function, template, text, problems);
                Piece::Text(LitStr::new(text, span))
            }
            Part::Placeholder(placeholder) => {
                let root = root(function, option, template, placeholder, problems)?;
                Piece::Part { place: place(root, placeholder, span), literal: span }
            }
        });
    }
    Some(Key { pieces })
}

/// Reports an argument in braces, as `format!` has them: here they are text.
fn braces(function: &Function, template: &Template, text: &str, problems: &mut Problems) {
    for word in in_braces(function, text) {
        let what = format!("`{{{word}}}` is text, and names no argument");
        let help = format!("placeholders stand in angle brackets: write `<{word}>`");
        problems.report(&template.literal, what, help);
    }
}

fn in_braces<'text>(function: &Function, text: &'text str) -> impl Iterator<Item = &'text str> {
    let names = names(function);
    let words = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    words.map(|(word, _)| word).filter(move |word| {
        let root = word.split('.').next().unwrap_or_default();
        names.iter().any(|name| name == root)
    })
}

/// Reports a key that is the same for every call, and a key made of an argument that is skipped.
pub(super) fn varies(
    function: &Function,
    idempotent: &Idempotent,
    fingerprinted: &[Fingerprinted],
    problems: &mut Problems,
) {
    let name = &function.signature.ident;
    let scoped = idempotent.scope.is_written();
    if let Some((_, key)) = idempotent.key.given() {
        let is_fixed = placeholders(key).next().is_none();
        if is_fixed && !scoped && in_braces(function, &key.literal.value()).next().is_none() {
            let what = format!("this key never varies, so `{name}` would run once and for all");
            problems.report(&key.literal, what, placeholder_help(function));
        }
    } else if !idempotent.key.is_written() && fingerprinted.is_empty() {
        let what = format!("`{name}` has no arguments to tell one call from another");
        let help = match &function.receiver {
            Some(_) => "write `key = \"…\"` with a field of `self`, such as `<self.id>`",
            None => "give it an argument, and name it in `key = \"…\"`",
        };
        if !scoped {
            problems.report(name, what, help);
        }
    }
    if let Some((_, scope)) = idempotent.scope.given()
        && placeholders(scope).next().is_none()
    {
        let help = caller_help(function, &scope.literal.value());
        problems.report(&scope.literal, "this scope is the same for every caller", help);
    }
    // The scope may name what is skipped: who calls keeps calls apart, and the rest of what is known
    // of the caller, such as the session, does not make a call another one.
    if let Some((option, template)) = idempotent.key.given() {
        for skipped in idempotent.skip.value.iter().flatten() {
            let used = placeholders(template).any(|placeholder| match &placeholder.root {
                Root::Argument(root) => *skipped == root.as_str(),
                Root::Position(position) => function
                    .arguments
                    .get(*position)
                    .is_some_and(|argument| argument.bindings.contains(skipped)),
                Root::Receiver => false,
            });
            if used {
                let what = format!("`{skipped}` is skipped, and `{option}` uses it");
                problems.report(skipped, what, "what names a call cannot be left out of it");
            }
        }
    }
}

pub(super) fn placeholders(template: &Template) -> impl Iterator<Item = &Placeholder> {
    template.parts.iter().filter_map(|part| match part {
        Part::Text(_) => None,
        Part::Placeholder(placeholder) => Some(placeholder),
    })
}

fn placeholder_help(function: &Function) -> String {
    let names = names(function);
    match names.first() {
        Some(name) => format!(
            "name what tells one call from another, such as `<{name}>`; the arguments are {}",
            enumerate(&names)
        ),
        None => "give the function an argument, and name it here".to_owned(),
    }
}

/// What stands there may be meant as a placeholder, and lack its brackets only.
fn caller_help(function: &Function, written: &str) -> String {
    let root = written.split('.').next().unwrap_or_default();
    let is_known = root == "self" || names(function).iter().any(|name| name == root);
    let example = if is_known { written } else { "user.id" };
    format!("name what tells one caller from another, such as `<{example}>`")
}

/// Everything a placeholder can start with.
pub(super) fn names(function: &Function) -> Vec<String> {
    let arguments = function.arguments.iter().flat_map(|argument| &argument.bindings);
    arguments.map(|name| unraw(&name.to_string())).collect()
}

fn unraw(name: &str) -> String {
    name.strip_prefix("r#").unwrap_or(name).to_owned()
}

/// The identifier that a placeholder starts with, as the body sees it.
fn root<'function>(
    function: &'function Function,
    option: &Ident,
    template: &Template,
    placeholder: &Placeholder,
    problems: &mut Problems,
) -> Option<&'function Ident> {
    let text = &placeholder.text;
    let name = &function.signature.ident;
    let (what, help) = match &placeholder.root {
        Root::Receiver => match &function.receiver {
            Some(receiver) => return Some(&receiver.name),
            None => (
                format!("`<{text}>` needs a method, and `{name}` takes no `self`"),
                arguments_help(function),
            ),
        },
        Root::Argument(wanted) => {
            let mut bindings = function
                .arguments
                .iter()
                .flat_map(|argument| &argument.bindings)
                .filter(|binding| unraw(&binding.to_string()) == *wanted);
            match (bindings.next(), bindings.next()) {
                (Some(binding), None) => return Some(binding),
                // One comes from a `macro_rules!` macro and one from its caller.
                (Some(_), Some(_)) => (
                    format!("`<{text}>` is the name of two arguments of `{name}`"),
                    "say which by its position, such as `<0>`".to_owned(),
                ),
                (None, _) => unknown(function, option, wanted, text),
            }
        }
        Root::Position(position) => match function.arguments.get(*position) {
            Some(argument) => match argument.bindings.as_slice() {
                [binding] => return Some(binding),
                [] => (
                    format!("`<{text}>` is `_`, which nobody can read"),
                    "give the argument a name".to_owned(),
                ),
                [first, ..] => (
                    format!("`<{text}>` is a pattern of several names"),
                    format!("name the one you mean, such as `<{first}>`"),
                ),
            },
            None => (
                format!("`<{text}>` is past the arguments of `{name}`"),
                match function.arguments.len() {
                    0 => "it has none besides `self`".to_owned(),
                    1 => "the only one is `<0>`".to_owned(),
                    count => format!("they are `<0>` to `<{}>`", count - 1),
                },
            ),
        },
    };
    problems.report(&template.literal, what, help);
    None
}

fn unknown(function: &Function, option: &Ident, wanted: &str, text: &str) -> (String, String) {
    let name = &function.signature.ident;
    let what = match wanted == text {
        true => format!("`<{text}>` is not an argument of `{name}`"),
        false => format!("`<{text}>` starts with `{wanted}`, which is not an argument of `{name}`"),
    };
    let names = names(function);
    if names.is_empty() {
        let help = match &function.receiver {
            Some(_) => format!("`{option}` can name fields of `self`, such as `<self.{wanted}>`"),
            None => format!("`{name}` has no arguments that `{option}` could name"),
        };
        return (what, help);
    }
    let meant = match nearest(wanted, &names) {
        Some(meant) => format!("did you mean `<{}>`? ", text.replacen(wanted, meant, 1)),
        None => String::new(),
    };
    let help = format!("{meant}the arguments are {}", enumerate(&names));
    (what, help)
}

fn arguments_help(function: &Function) -> String {
    let names = names(function);
    match names.is_empty() {
        true => "it has no arguments either; give it one".to_owned(),
        false => format!("the arguments are {}", enumerate(&names)),
    }
}

/// `root.field.0`, standing where the literal stands, and meaning the argument of the signature.
fn place(root: &Ident, placeholder: &Placeholder, literal: Span) -> TokenStream {
    let mut root = root.clone();
    root.set_span(root.span().located_at(literal));
    let span = Span::mixed_site().located_at(literal);
    let mut place = root.into_token_stream();
    for field in &placeholder.fields {
        let member = member(field, span);
        place.extend(quote_spanned! {span=> .#member });
    }
    place
}

fn member(field: &str, span: Span) -> TokenStream {
    if let Ok(number) = field.parse::<u32>() {
        let mut number = Literal::u32_unsuffixed(number);
        number.set_span(span);
        return number.into_token_stream();
    }
    // The parser took words only; a word that is no identifier is a keyword.
    let raw = parse_str::<Ident>(field).is_err();
    if raw { Ident::new_raw(field, span) } else { Ident::new(field, span) }.into_token_stream()
}
