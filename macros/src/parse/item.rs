//! The function under the attributes: its signature parsed, its body kept as tokens.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{
    Attribute, Block, FnArg, GenericArgument, Pat, PathArguments, ReceiverKind, ReturnType,
    Signature, Stmt, Token, Type, TypeParamBound, Visibility,
};

use crate::model::{Argument, Body, Boxed, Function, Layer, Receiver};

/// Reads a function, a method, or a declaration of one; anything else is an error.
pub(crate) fn function(tokens: TokenStream) -> syn::Result<Function> {
    parse.parse2(tokens)
}

fn parse(input: ParseStream<'_>) -> syn::Result<Function> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility: Visibility = input.parse()?;
    let signature: Signature = input.parse()?;
    let (inner_attributes, body) = if input.parse::<Option<Token![;]>>()?.is_some() {
        (Vec::new(), None)
    } else {
        let group = braces(input)?;
        let (inner_attributes, body) = without_inner_attributes(group);
        (inner_attributes, Some(body))
    };
    let body = classify(&signature, body);
    let boxed = match &body {
        Body::Boxed(boxed) => Some(boxed),
        Body::None | Body::Async(..) | Body::Sync(_) => None,
    };
    let prelude = boxed.map(prelude).unwrap_or_default();
    let receiver = receiver(&signature, &prelude);
    let arguments = arguments(&signature, &prelude);
    Ok(Function { attributes, visibility, signature, inner_attributes, body, receiver, arguments })
}

/// The braces of a body, also where a `macro_rules!` macro passed them on as a `block`.
fn braces(input: ParseStream<'_>) -> syn::Result<Group> {
    let mut group = match input.parse()? {
        TokenTree::Group(group) => group,
        other => return Err(syn::Error::new(other.span(), "expected a body in braces")),
    };
    while group.delimiter() == Delimiter::None {
        let mut inner = group.stream().into_iter();
        match (inner.next(), inner.next()) {
            (Some(TokenTree::Group(only)), None) => group = only,
            _ => break,
        }
    }
    match group.delimiter() {
        Delimiter::Brace => Ok(group),
        _ => Err(syn::Error::new(group.span(), "expected a body in braces")),
    }
}

/// A body without the `#![…]` at its head, and those. If there are none it stays the very group it
/// was: what the compiler has complained of already when it read the function is then the same
/// complaint when it reads the expansion, and shown once.
fn without_inner_attributes(group: Group) -> (Vec<Attribute>, Group) {
    match lift.parse2(group.stream()) {
        Ok((attributes, rest)) if !attributes.is_empty() => {
            let mut body = Group::new(group.delimiter(), rest);
            body.set_span(group.span());
            (attributes, body)
        }
        _ => (Vec::new(), group),
    }
}

/// Takes `#![…]` off the head of a body: it keeps its place when the rest moves into a block.
fn lift(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, TokenStream)> {
    Ok((input.call(Attribute::parse_inner)?, TokenStream::parse(input)?))
}

fn classify(signature: &Signature, body: Option<Group>) -> Body {
    let Some(body) = body else {
        return Body::None;
    };
    let returns = match &signature.output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => Some(&**ty),
    };
    if signature.asyncness.is_some() {
        return Body::Async(body, returns.cloned());
    }
    let boxed = returns.and_then(output_of_boxed).and_then(|returns| {
        let (mut layers, body) = hole(&body)?;
        layers.reverse();
        Some(Boxed { returns: returns.clone(), layers, body })
    });
    boxed.map_or(Body::Sync(body), Body::Boxed)
}

/// `R` in `Pin<Box<dyn Future<Output = R> + …>>`.
fn output_of_boxed(ty: &Type) -> Option<&Type> {
    let pinned = first_argument(ty, "Pin")?;
    let Type::TraitObject(object) = bare(first_argument(pinned, "Box")?) else {
        return None;
    };
    object.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let segment = bound.path.segments.last().filter(|segment| segment.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
            _ => None,
        })
    })
}

fn first_argument<'ty>(ty: &'ty Type, name: &str) -> Option<&'ty Type> {
    let Type::Path(path) = bare(ty) else {
        return None;
    };
    let segment = path.path.segments.last().filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Finds `let __ret: R = { body };` as `#[async_trait]` writes it, however deep another attribute
/// (such as `#[tracing::instrument]`) has wrapped it since. Gives the layers innermost first.
fn hole(around: &Group) -> Option<(Vec<Layer>, Group)> {
    let tokens: Vec<TokenTree> = around.stream().into_iter().collect();
    let starts = tokens.windows(3).position(|window| match window {
        [TokenTree::Ident(keyword), TokenTree::Ident(name), TokenTree::Punct(colon)] => {
            keyword == "let" && (name == "__ret" || name == "___ret") && colon.as_char() == ':'
        }
        _ => false,
    });
    if let Some(start) = starts {
        let equals = tokens.windows(3).skip(start).position(|window| match window {
            [TokenTree::Punct(equals), TokenTree::Group(body), TokenTree::Punct(end)] => {
                equals.as_char() == '='
                    && body.delimiter() == Delimiter::Brace
                    && end.as_char() == ';'
            }
            _ => false,
        })?;
        let (layer, body) = split(around, &tokens, start + equals + 1)?;
        return Some((vec![layer], body));
    }
    tokens.iter().enumerate().find_map(|(index, token)| {
        let TokenTree::Group(group) = token else {
            return None;
        };
        let (mut layers, body) = hole(group)?;
        let (layer, _) = split(around, &tokens, index)?;
        layers.push(layer);
        Some((layers, body))
    })
}

/// The group at a place, and what stands around it.
fn split(around: &Group, tokens: &[TokenTree], at: usize) -> Option<(Layer, Group)> {
    let TokenTree::Group(group) = tokens.get(at)? else {
        return None;
    };
    let layer = Layer {
        delimiter: around.delimiter(),
        span: around.span(),
        before: tokens.iter().take(at).cloned().collect(),
        after: tokens.iter().skip(at + 1).cloned().collect(),
    };
    Some((layer, group.clone()))
}

/// The `let`s in front of a boxed body, by which it knows its arguments.
fn prelude(boxed: &Boxed) -> Vec<(Pat, TokenStream)> {
    let Some(innermost) = boxed.layers.last() else {
        return Vec::new();
    };
    // The last statement is the `let __ret: R =` in front of the hole, which is cut off.
    let mut tokens: Vec<TokenTree> = innermost.before.clone().into_iter().collect();
    let last = tokens.iter().rposition(|token| matches!(token, TokenTree::Ident(i) if i == "let"));
    tokens.truncate(last.unwrap_or(0));
    let statements = Block::parse_within.parse2(tokens.into_iter().collect()).unwrap_or_default();
    statements
        .into_iter()
        .filter_map(|statement| match statement {
            Stmt::Local(local) => {
                let init = local.init?;
                Some((local.pat, quote::ToTokens::into_token_stream(init.expr)))
            }
            _ => None,
        })
        .collect()
}

fn receiver(signature: &Signature, prelude: &[(Pat, TokenStream)]) -> Option<Receiver> {
    let receiver = signature.receiver()?;
    let borrowed = match &receiver.kind {
        ReceiverKind::Reference(..) => true,
        ReceiverKind::Typed(_, ty) => is_borrowed(ty),
        _ => false,
    };
    let renamed = prelude.iter().find_map(|(pattern, value)| match pattern {
        Pat::Ident(pattern) if value.to_string() == "self" => Some(pattern.ident.clone()),
        _ => None,
    });
    let name = renamed.unwrap_or_else(|| Ident::new("self", receiver.self_token.span));
    Some(Receiver { name, borrowed })
}

/// `&Self`, and `Pin<&mut Self>`.
fn is_borrowed(ty: &Type) -> bool {
    match bare(ty) {
        Type::Reference(_) => true,
        ty => first_argument(ty, "Pin").is_some_and(|ty| matches!(bare(ty), Type::Reference(_))),
    }
}

/// A type without the parentheses, and the invisible ones of a `macro_rules!` macro, around it.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

fn arguments(signature: &Signature, prelude: &[(Pat, TokenStream)]) -> Vec<Argument> {
    let typed = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Receiver(_) => None,
        FnArg::Typed(argument) => Some(argument),
    });
    typed
        .map(|argument| {
            let pattern = match &*argument.pat {
                Pat::Ident(renamed) => original(&renamed.ident, prelude),
                _ => None,
            };
            let pattern = pattern.unwrap_or_else(|| (*argument.pat).clone());
            let mut names = Vec::new();
            bindings(&pattern, &mut names);
            let conditions = argument.attrs.iter().filter(|attribute| is_condition(attribute));
            Argument {
                conditions: conditions.cloned().collect(),
                pattern,
                ty: (*argument.ty).clone(),
                bindings: names,
            }
        })
        .collect()
}

/// Whether the compiler may take an argument away because of this attribute.
fn is_condition(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

/// The pattern that `#[async_trait]` moved out of the signature:
/// `let Json(dto) = { let __arg1 = __arg1; __arg1 };`.
fn original(renamed: &Ident, prelude: &[(Pat, TokenStream)]) -> Option<Pat> {
    if !renamed.to_string().starts_with("__arg") {
        return None;
    }
    let ends_with = |value: &TokenStream| match value.clone().into_iter().last() {
        Some(TokenTree::Group(block)) => match block.stream().into_iter().last() {
            Some(TokenTree::Ident(last)) => last == *renamed,
            _ => false,
        },
        Some(TokenTree::Ident(last)) => last == *renamed,
        _ => false,
    };
    let (pattern, _) = prelude.iter().find(|(_, value)| ends_with(value))?;
    match pattern {
        // `_` comes back as `let __arg1 = __arg1;`.
        Pat::Ident(same) if same.ident == *renamed => Pat::parse_single.parse_str("_").ok(),
        _ => Some(pattern.clone()),
    }
}

/// The names a pattern binds, in the order they stand.
pub(crate) fn bindings(pattern: &Pat, names: &mut Vec<Ident>) {
    match pattern {
        Pat::Ident(pattern) => {
            names.push(pattern.ident.clone());
            if let Some((_, inner)) = &pattern.subpat {
                bindings(inner, names);
            }
        }
        Pat::Paren(pattern) => bindings(&pattern.pat, names),
        Pat::Reference(pattern) => bindings(&pattern.pat, names),
        Pat::Type(pattern) => bindings(&pattern.pat, names),
        Pat::Slice(pattern) => pattern.elems.iter().for_each(|inner| bindings(inner, names)),
        Pat::Tuple(pattern) => pattern.elems.iter().for_each(|inner| bindings(inner, names)),
        Pat::TupleStruct(pattern) => {
            pattern.elems.iter().for_each(|inner| bindings(inner, names));
        }
        Pat::Struct(pattern) => {
            pattern.fields.iter().for_each(|field| bindings(&field.pat, names));
        }
        // The same names stand in each alternative.
        Pat::Or(pattern) => {
            if let Some(first) = pattern.cases.first() {
                bindings(first, names);
            }
        }
        _ => {}
    }
}
