//! The values of options: what each is written as, and what else people write.

use proc_macro2::{Ident, TokenTree};
use quote::ToTokens;
use syn::{Expr, LitStr, Path};

use super::args::{Arg, Value, args, elements, names, text};
use super::duration::{self, Fault};
use super::template::template;
use crate::diagnostics::{Problems, enumerate, nearest};
use crate::model::{Duration, Remember, Template};

pub(super) fn read_template(
    name: &Ident,
    value: Value,
    problems: &mut Problems,
) -> Option<Template> {
    template(&literal(name, value, "order:<order_id>", problems)?, problems)
}

pub(super) fn read_templates(
    name: &Ident,
    value: Value,
    problems: &mut Problems,
) -> Option<Vec<Template>> {
    let help = "write `keys = [\"account:<from>\", \"account:<to>\"]`";
    let Value::Is(expr) = value else {
        problems.report(name, "`keys` needs a list of templates", help);
        return None;
    };
    let Some(elements) = elements(&expr) else {
        let help = match text(&expr) {
            Some(_) => "write `key = …` for one template, `keys = [\"…\", \"…\"]` for several",
            None => help,
        };
        problems.report(&expr, "`keys` is a list of templates", help);
        return None;
    };
    if elements.is_empty() {
        problems.report(&expr, "`keys` names no lock", help);
        return None;
    }
    let templates: Vec<_> = elements
        .iter()
        .map(|element| match text(element) {
            Some(literal) => template(literal, problems),
            None => {
                not_a_literal(element, name, "account:<from>", problems);
                None
            }
        })
        .collect();
    templates.into_iter().collect()
}

pub(super) fn read_name(name: &Ident, value: Value, problems: &mut Problems) -> Option<LitStr> {
    let literal = literal(name, value, "pay", problems)?;
    if literal.value().is_empty() {
        problems.report(&literal, format_args!("`{name}` cannot be empty"), "give it a name");
        return None;
    }
    Some(literal)
}

fn literal(name: &Ident, value: Value, example: &str, problems: &mut Problems) -> Option<LitStr> {
    match value {
        Value::Is(expr) => {
            let literal = text(&expr).cloned();
            if literal.is_none() {
                not_a_literal(&expr, name, example, problems);
            }
            literal
        }
        Value::None | Value::List(_) | Value::Unreadable => {
            let what = format!("`{name}` needs a value");
            problems.report(name, what, format_args!("write `{name} = {example:?}`"));
            None
        }
    }
}

fn not_a_literal(expr: &Expr, name: &Ident, example: &str, problems: &mut Problems) {
    problems.report(
        expr,
        format_args!("`{name}` takes a string literal, as it is checked while compiling"),
        format_args!("write it out: `{example:?}`"),
    );
}

pub(super) fn read_duration(
    name: &Ident,
    value: Value,
    problems: &mut Problems,
) -> Option<Duration> {
    let Value::Is(expr) = value else {
        let help = format!("write `{name} = \"30s\"`");
        problems.report(name, format_args!("`{name}` needs a duration"), help);
        return None;
    };
    let Some(literal) = text(&expr) else {
        bare_duration(&expr, name, problems);
        return None;
    };
    let written = literal.value();
    match duration::milliseconds(&written) {
        Ok(milliseconds) => return Some(Duration { milliseconds, literal: literal.clone() }),
        Err(Fault::NoUnit) => problems.report(
            literal,
            format_args!("`{name}` has no unit"),
            format_args!(
                "write `\"{written}s\"` or `\"{written}ms\"`; the units are ms, s, m, h, d"
            ),
        ),
        Err(Fault::Unreadable) => problems.report(
            literal,
            format_args!("`{written}` is not a duration"),
            "write whole numbers with units, such as `\"250ms\"`, `\"30s\"` or `\"1h30m\"`; \
             the units are ms, s, m, h, d",
        ),
        Err(Fault::TooLong) => problems.report(
            literal,
            format_args!("`{written}` is longer than any clock runs"),
            "write a shorter one",
        ),
    }
    None
}

/// `30`, `30s` and `Duration::from_secs(30)` are what people try before `"30s"`.
fn bare_duration(expr: &Expr, name: &Ident, problems: &mut Problems) {
    let help = match expr {
        Expr::Lit(lit) => match &lit.lit {
            syn::Lit::Int(int) if int.suffix().is_empty() => {
                format!("write `{name} = \"{}s\"`", int.base10_digits())
            }
            syn::Lit::Int(int) => format!("put it in quotes: `{name} = \"{int}\"`"),
            _ => format!("write `{name} = \"30s\"`"),
        },
        _ => format!("write `{name} = \"30s\"`"),
    };
    problems.report(expr, format_args!("`{name}` takes a text with a unit"), help);
}

pub(super) fn read_flag(name: &Ident, value: Value, problems: &mut Problems) -> Option<()> {
    match value {
        Value::None => Some(()),
        Value::Is(_) | Value::List(_) | Value::Unreadable => {
            problems.report(name, format_args!("`{name}` takes no value"), "write it alone");
            None
        }
    }
}

/// `begin(tx = pool)`
pub(super) fn read_begin(
    name: &Ident,
    value: Value,
    problems: &mut Problems,
) -> Option<(Ident, Expr)> {
    let help = "write `begin(tx = self.pool)`: the body then has the transaction as `tx`";
    if let Value::List(tokens) = value {
        match <[Arg; 1]>::try_from(args(tokens, problems)) {
            Ok([Arg { name: tx, value: Value::Is(pool) }]) if tx == "tx" => {
                return Some((tx, pool));
            }
            Ok([Arg { value: Value::Unreadable, .. }]) => return None,
            Ok(_) | Err(_) => {}
        }
    }
    problems.report(name, format_args!("`{name}` needs a pool to begin a transaction on"), help);
    None
}

/// The argument that is the transaction.
pub(super) fn read_transaction(
    name: &Ident,
    value: Value,
    problems: &mut Problems,
) -> Option<Expr> {
    if let Value::Is(expr) = value {
        return Some(expr);
    }
    let what = format!("`{name}` needs the name of the argument that is the transaction");
    problems.report(name, what, format_args!("write `{name} = {name}`"));
    None
}

pub(super) fn read_expr(name: &Ident, value: Value, problems: &mut Problems) -> Option<Expr> {
    match value {
        Value::Is(expr) => Some(expr),
        Value::None | Value::List(_) | Value::Unreadable => {
            let help = format!("write `{name} = self.{name}`, or any other expression");
            problems.report(name, format_args!("`{name}` needs a value"), help);
            None
        }
    }
}

/// The path of a crate: as a text, as in other macros, or as it is, as `$crate` can only stand so.
pub(super) fn read_path(name: &Ident, value: Value, problems: &mut Problems) -> Option<Path> {
    let help = "name the crate as this one knows it, such as `crate = \"once\"`";
    let expr = match value {
        Value::Is(Expr::Path(path)) if path.qself.is_none() => return Some(path.path),
        Value::Is(expr) => expr,
        Value::None | Value::List(_) | Value::Unreadable => {
            problems.report(name, "`crate` needs a path", help);
            return None;
        }
    };
    let path = text(&expr).and_then(|literal| literal.parse_with(Path::parse_mod_style).ok());
    if path.is_none() {
        problems.report(&expr, "this is no path of a crate", help);
    }
    path
}

pub(super) fn read_names(
    name: &Ident,
    value: Value,
    problems: &mut Problems,
) -> Option<Vec<Ident>> {
    let help = format!("write `{name}(client, trace_id)`");
    let tokens = match value {
        Value::List(tokens) => tokens,
        Value::Is(expr) => {
            let what = format!("`{name}` takes a list of arguments");
            let named = text(&expr).map(LitStr::value);
            let named = named.unwrap_or_else(|| expr.to_token_stream().to_string());
            let help = format!("write `{name}({named})`");
            problems.report(name, what, help);
            return None;
        }
        Value::None | Value::Unreadable => {
            problems.report(name, format_args!("`{name}` takes a list of arguments"), help);
            return None;
        }
    };
    let quoted = tokens.clone().into_iter().find_map(|token| match token {
        TokenTree::Literal(literal) => Some(literal),
        _ => None,
    });
    if let Some(quoted) = quoted {
        let text = quoted.to_string();
        let help = format!("write `{name}({})`", text.trim_matches('"'));
        problems.report(quoted, format_args!("`{name}` takes names, without quotes"), help);
        return None;
    }
    match names(tokens) {
        Ok(names) if !names.is_empty() => Some(names),
        Ok(_) => {
            problems.report(name, format_args!("`{name}` names no argument"), help);
            None
        }
        Err(error) => {
            problems.push(error);
            None
        }
    }
}

pub(super) fn read_remember(
    name: &Ident,
    value: Value,
    problems: &mut Problems,
) -> Option<Remember> {
    match value {
        Value::None => Some(Remember::All),
        Value::Is(Expr::Path(path)) if path.qself.is_none() => Some(Remember::If(path.path)),
        Value::Is(expr) => {
            let what = "`remember_errors` takes the path of a function";
            let help = "write `remember_errors` for all errors, or \
                        `remember_errors = is_final` with `fn is_final(error: &E) -> bool`";
            problems.report(expr, what, help);
            None
        }
        Value::List(_) | Value::Unreadable => {
            let help = "write `remember_errors`, or `remember_errors = is_final`";
            problems.report(name, "`remember_errors` takes no list", help);
            None
        }
    }
}

/// A reader of one of a few words.
pub(super) fn choice<T: Copy>(
    choices: &[(&str, T)],
) -> impl FnOnce(&Ident, Value, &mut Problems) -> Option<T> {
    move |name, value, problems| {
        let known: Vec<String> = choices.iter().map(|(word, _)| (*word).to_owned()).collect();
        let first = known.first().map_or("", String::as_str);
        let literal = literal(name, value, first, problems)?;
        let written = literal.value();
        let found = choices.iter().find(|(word, _)| *word == written).map(|(_, choice)| *choice);
        if found.is_none() {
            let meant = match nearest(&written, &known) {
                Some(meant) => format!("did you mean `{meant}`? "),
                None => String::new(),
            };
            let what = format!("`{written}` is not a choice of `{name}`");
            problems.report(&literal, what, format!("{meant}it is one of {}", enumerate(&known)));
        }
        found
    }
}
