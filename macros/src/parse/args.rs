//! The grammar of an attribute's options: `name`, `name = value`, `name(list)`.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Token, parenthesized, token};

use crate::diagnostics::Problems;

/// One option as it stands.
pub(crate) struct Arg {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    /// `name`
    None,
    /// `name = expr`
    Is(Expr),
    /// `name(tokens)`
    List(TokenStream),
    /// Something that was reported already.
    Unreadable,
}

/// Reads all options. One that cannot be read is reported, and the next is read all the same.
pub(crate) fn args(tokens: TokenStream, problems: &mut Problems) -> Vec<Arg> {
    let parser = |input: ParseStream<'_>| {
        let mut args = Vec::new();
        while !input.is_empty() {
            args.extend(arg(input, problems));
            end(input, problems);
        }
        Ok(args)
    };
    match parser.parse2(tokens) {
        Ok(args) => args,
        Err(error) => {
            problems.push(error);
            Vec::new()
        }
    }
}

fn arg(input: ParseStream<'_>, problems: &mut Problems) -> Option<Arg> {
    let Ok(name) = input.call(Ident::parse_any) else {
        return no_name(input, problems);
    };
    let value = if input.peek(Token![=]) {
        assigned(input, &name, problems)
    } else if input.peek(token::Paren) {
        list(input)
    } else {
        Ok(Value::None)
    };
    let value = value.unwrap_or_else(|error| {
        problems.push(error);
        Value::Unreadable
    });
    Some(Arg { name, value })
}

fn assigned(input: ParseStream<'_>, name: &Ident, problems: &mut Problems) -> syn::Result<Value> {
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        let what = format!("`{name}` needs a value");
        problems.report(name, what, format_args!("write `{name} = …`, or leave it out"));
        return Ok(Value::Unreadable);
    }
    let start = input.fork();
    let expr = input.parse()?;
    Ok(Value::Is(match expr {
        Expr::Lit(_) | Expr::Path(_) | Expr::Array(_) | Expr::Group(_) => expr,
        // Nobody looks into the others, and to print some of them takes syn minutes.
        _ => Expr::Verbatim(between(&start, input)?),
    }))
}

/// The tokens from one place to a later one.
fn between(start: ParseStream<'_>, end: ParseStream<'_>) -> syn::Result<TokenStream> {
    let mut tokens = Vec::new();
    while start.cursor() != end.cursor() && !start.is_empty() {
        tokens.push(start.parse::<TokenTree>()?);
    }
    Ok(tokens.into_iter().collect())
}

fn list(input: ParseStream<'_>) -> syn::Result<Value> {
    let content;
    parenthesized!(content in input);
    Ok(Value::List(content.parse()?))
}

/// What stands where the name of an option should.
fn no_name(input: ParseStream<'_>, problems: &mut Problems) -> Option<Arg> {
    let literal = input.parse::<LitStr>().map_err(|_| {
        problems.push(input.error("an option is a name, such as `key = \"…\"`"));
    });
    let literal = literal.ok()?;
    let help = format!("write `key = {:?}`", literal.value());
    problems.report(&literal, "this text does not say which option it is", help);
    // Most likely it is the key, and nobody needs to hear that one is missing.
    Some(Arg { name: Ident::new("key", literal.span()), value: Value::Unreadable })
}

/// Goes past the comma that ends an option, over whatever does not belong to it.
fn end(input: ParseStream<'_>, problems: &mut Problems) {
    if input.is_empty() || input.parse::<Option<Token![,]>>().is_ok_and(|comma| comma.is_some()) {
        return;
    }
    if problems.is_empty() {
        problems.push(input.error("options are separated by commas"));
    }
    while !input.is_empty() && input.parse::<Token![,]>().is_err() {
        // A token tree is always there, as the input is not empty.
        let _ = input.parse::<TokenTree>();
    }
}

/// The text of a string literal, also where a `macro_rules!` macro passed it on.
pub(crate) fn text(expr: &Expr) -> Option<&LitStr> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Some(literal),
        Expr::Group(group) => text(&group.expr),
        _ => None,
    }
}

/// The elements of an array expression.
pub(crate) fn elements(expr: &Expr) -> Option<&Punctuated<Expr, Token![,]>> {
    match expr {
        Expr::Array(array) => Some(&array.elems),
        Expr::Group(group) => elements(&group.expr),
        _ => None,
    }
}

/// The names in `name(a, b)`.
pub(crate) fn names(tokens: TokenStream) -> syn::Result<Vec<Ident>> {
    let parser = Punctuated::<Ident, Token![,]>::parse_terminated_with;
    let names = (|input: ParseStream<'_>| parser(input, Ident::parse_any)).parse2(tokens)?;
    Ok(names.into_iter().collect())
}
