//! The macros as a library: a proc-macro crate cannot be linked, so its files are read here again.
//!
//! ```text
//! cargo +nightly fuzz run attribute -- -max_total_time=600
//! cargo +nightly fuzz run template -- -max_total_time=600
//! ```

#![allow(dead_code, unused_imports)]

#[path = "../../macros/src/attribute.rs"]
mod attribute;
#[path = "../../macros/src/check/mod.rs"]
mod check;
#[path = "../../macros/src/diagnostics.rs"]
mod diagnostics;
#[path = "../../macros/src/expand/mod.rs"]
mod expand;
#[path = "../../macros/src/model.rs"]
mod model;
#[path = "../../macros/src/parse/mod.rs"]
mod parse;
#[path = "../../macros/src/tests/vocabulary.rs"]
mod vocabulary;

use proc_macro2::{Span, TokenStream};
use syn::LitStr;

use crate::attribute::Kind;
use crate::diagnostics::Problems;
use crate::model::Part;

/// Expands the item that the bytes spell, under the options that they spell.
pub fn expand_attribute(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let kind = if kind % 2 == 0 { Kind::Idempotent } else { Kind::WithLock };
    let mut bytes = data.iter().copied();
    let (options, item) = match text(data) {
        // Text that the compiler can read as tokens is taken as it is.
        Some(read) if data.len() % 2 == 0 => read,
        _ => (vocabulary::tokens(&mut bytes), vocabulary::tokens(&mut bytes)),
    };
    attribute::attribute(kind, options, item);
}

fn text(data: &[u8]) -> Option<(TokenStream, TokenStream)> {
    let (options, item) = std::str::from_utf8(data).ok()?.split_once('\n')?;
    Some((options.parse().ok()?, item.parse().ok()?))
}

/// Reads a template, which is one or a problem and never both.
pub fn read_template(text: &str) {
    let mut problems = Problems::default();
    let literal = LitStr::new(text, Span::call_site());
    let template = parse::template::template(&literal, &mut problems);
    assert_eq!(template.is_some(), problems.is_empty());
    for pair in template.iter().flat_map(|template| template.parts.windows(2)) {
        assert!(pair.iter().filter(|part| matches!(part, Part::Placeholder(_))).count() == 1);
    }
}
