//! The attributes as a whole: tokens in, tokens out.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod expansions;
mod half_typed;
mod problems;
mod random;
mod vocabulary;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, File, ImplItem, Item, parse_str, parse2};

use crate::attribute::{Kind, attribute};

/// Expands the functions of a file, free ones and those in `impl` blocks.
fn expanded(source: &str) -> TokenStream {
    let file: File = parse_str(source).unwrap();
    let mut output = TokenStream::new();
    for item in file.items {
        match item {
            Item::Impl(mut item) => {
                let items = std::mem::take(&mut item.items);
                let expanded: TokenStream = items.into_iter().map(method).collect();
                item.to_tokens(&mut output);
                // The braces of the emptied block come last.
                let mut tokens: Vec<TokenTree> = output.into_iter().collect();
                tokens.pop();
                output = tokens.into_iter().collect();
                output.extend(quote::quote!({ #expanded }));
            }
            Item::Fn(mut item) => {
                let (kind, options) = first(&mut item.attrs);
                output.extend(attribute(kind, options, item.into_token_stream()));
            }
            other => other.to_tokens(&mut output),
        }
    }
    output
}

fn method(item: ImplItem) -> TokenStream {
    match item {
        ImplItem::Fn(mut item) => {
            let (kind, options) = first(&mut item.attrs);
            attribute(kind, options, item.into_token_stream())
        }
        other => other.into_token_stream(),
    }
}

/// Takes off the attribute that the compiler would expand first.
fn first(attributes: &mut Vec<Attribute>) -> (Kind, TokenStream) {
    let at = attributes.iter().position(|it| Kind::of(it).is_some()).unwrap();
    let attribute = attributes.remove(at);
    let options = match &attribute.meta {
        syn::Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    (Kind::of(&attribute).unwrap(), options)
}

fn formatted(tokens: TokenStream) -> String {
    prettyplease::unparse(&parse2(tokens).unwrap())
}
