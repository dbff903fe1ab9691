//! The options of both attributes: which there are, and what value each takes.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{Expr, LitStr};

use super::args::{Arg, Value, args, elements, names, text};
use super::duration::{self, Fault};
use super::template::template;
use crate::diagnostics::{Problems, enumerate, instead, nearest};
use crate::model::{
    Duration, Idempotent, Lock, OnBusy, OnInterrupted, OnStoreError, Remember, Slot, Template,
    Timing,
};

const IDEMPOTENT: [&str; 15] = [
    "key",
    "operation",
    "skip",
    "retention",
    "lease",
    "max_hold",
    "wait",
    "remember_errors",
    "on_interrupted",
    "on_store_error",
    "detached",
    "tx",
    "begin",
    "scope",
    "coordinator",
];

const LOCK: [&str; 9] =
    ["key", "keys", "lease", "max_hold", "wait", "on_busy", "on_store_error", "tx", "coordinator"];

/// Reads the options of `#[idempotent(…)]`.
pub(crate) fn idempotent(tokens: TokenStream, problems: &mut Problems) -> Idempotent {
    let mut options = Idempotent::default();
    for arg in args(tokens, problems) {
        match arg.name.to_string().as_str() {
            "key" => set_once(&mut options.key, arg, read_template, problems),
            "operation" => set_once(&mut options.operation, arg, read_name, problems),
            "skip" => set_once(&mut options.skip, arg, read_names, problems),
            "retention" => set_once(&mut options.retention, arg, read_duration, problems),
            "remember_errors" => {
                set_once(&mut options.remember_errors, arg, read_remember, problems);
            }
            "on_interrupted" => {
                let choices = [("rerun", OnInterrupted::Rerun), ("hold", OnInterrupted::Hold)];
                set_once(&mut options.on_interrupted, arg, choice(&choices), problems);
            }
            "detached" => set_once(&mut options.detached, arg, read_flag, problems),
            "begin" => set_once(&mut options.begin, arg, read_nothing, problems),
            "scope" => set_once(&mut options.scope, arg, read_template, problems),
            _ => {
                if let Some(arg) = timing(&mut options.timing, arg, problems) {
                    unknown(&arg.name, "idempotent", &IDEMPOTENT, "with_lock", &LOCK, problems);
                }
            }
        }
    }
    options
}

/// Reads the options of `#[with_lock(…)]`.
pub(crate) fn lock(tokens: TokenStream, problems: &mut Problems) -> Lock {
    let mut options = Lock::default();
    for arg in args(tokens, problems) {
        match arg.name.to_string().as_str() {
            "key" => set_once(&mut options.key, arg, read_template, problems),
            "keys" => set_once(&mut options.keys, arg, read_templates, problems),
            "on_busy" => {
                let choices = [("fail", OnBusy::Fail), ("skip", OnBusy::Skip)];
                set_once(&mut options.on_busy, arg, choice(&choices), problems);
            }
            _ => {
                if let Some(arg) = timing(&mut options.timing, arg, problems) {
                    unknown(&arg.name, "with_lock", &LOCK, "idempotent", &IDEMPOTENT, problems);
                }
            }
        }
    }
    options
}

/// Reads what both attributes have in common; gives back what is none of that.
fn timing(timing: &mut Timing, arg: Arg, problems: &mut Problems) -> Option<Arg> {
    match arg.name.to_string().as_str() {
        "lease" => set_once(&mut timing.lease, arg, read_duration, problems),
        "max_hold" => set_once(&mut timing.max_hold, arg, read_duration, problems),
        "wait" => set_once(&mut timing.wait, arg, read_duration, problems),
        "on_store_error" => {
            let choices = [("refuse", OnStoreError::Refuse), ("run", OnStoreError::Run)];
            set_once(&mut timing.on_store_error, arg, choice(&choices), problems);
        }
        "tx" => set_once(&mut timing.tx, arg, read_expr, problems),
        "coordinator" => set_once(&mut timing.coordinator, arg, read_expr, problems),
        _ => return Some(arg),
    }
    None
}

/// Reads a value into its slot; an option that is there already is reported.
fn set_once<T>(
    slot: &mut Slot<T>,
    arg: Arg,
    read: impl FnOnce(&Ident, Value, &mut Problems) -> Option<T>,
    problems: &mut Problems,
) {
    let Arg { name, value } = arg;
    if slot.is_written() {
        let help = "keep the one you mean; each option stands once";
        return problems.report(&name, format_args!("`{name}` is set twice"), help);
    }
    slot.value = match value {
        Value::Unreadable => None,
        readable => read(&name, readable, problems),
    };
    slot.name = Some(name);
}

fn unknown(
    name: &Ident,
    attribute: &str,
    known: &[&str],
    other: &str,
    others: &[&str],
    problems: &mut Problems,
) {
    let word = name.to_string();
    let what = format!("`{name}` is not an option of `#[{attribute}]`");
    let help = if others.contains(&word.as_str()) {
        format!("it is one of `#[{other}]`: write it there")
    } else if let Some((_, meant)) = ALIASES.iter().find(|(alias, _)| *alias == word) {
        (*meant).to_owned()
    } else {
        let known: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
        instead(&word, "options", &known)
    };
    problems.report(name, what, help);
}

/// What people coming from other libraries write first.
const ALIASES: [(&str, &str); 5] = [
    (
        "ttl",
        "`retention` says how long an outcome replays, `lease` how long a silent holder keeps the key",
    ),
    (
        "expiry",
        "`retention` says how long an outcome replays, `lease` how long a silent holder keeps the key",
    ),
    (
        "timeout",
        "`wait` says how long to wait for another call, `max_hold` how long the body may keep the key",
    ),
    ("name", "write `operation = \"…\"`"),
    ("store", "a coordinator has the store: write `coordinator = …`"),
];

fn read_template(name: &Ident, value: Value, problems: &mut Problems) -> Option<Template> {
    template(&literal(name, value, "order:<order_id>", problems)?, problems)
}

fn read_templates(name: &Ident, value: Value, problems: &mut Problems) -> Option<Vec<Template>> {
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

fn read_name(name: &Ident, value: Value, problems: &mut Problems) -> Option<LitStr> {
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

fn read_duration(name: &Ident, value: Value, problems: &mut Problems) -> Option<Duration> {
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

fn read_flag(name: &Ident, value: Value, problems: &mut Problems) -> Option<()> {
    match value {
        Value::None => Some(()),
        Value::Is(_) | Value::List(_) | Value::Unreadable => {
            problems.report(name, format_args!("`{name}` takes no value"), "write it alone");
            None
        }
    }
}

fn read_nothing(_: &Ident, _: Value, _: &mut Problems) -> Option<()> {
    Some(())
}

fn read_expr(name: &Ident, value: Value, problems: &mut Problems) -> Option<Expr> {
    match value {
        Value::Is(expr) => Some(expr),
        Value::None | Value::List(_) | Value::Unreadable => {
            let help = format!("write `{name} = self.{name}`, or any other expression");
            problems.report(name, format_args!("`{name}` needs a value"), help);
            None
        }
    }
}

fn read_names(name: &Ident, value: Value, problems: &mut Problems) -> Option<Vec<Ident>> {
    let help = format!("write `{name}(client, trace_id)`");
    let tokens = match value {
        Value::List(tokens) => tokens,
        Value::Is(expr) => {
            let what = format!("`{name}` takes a list of arguments");
            let help = format!("write `{name}({})`", expr.to_token_stream());
            problems.report(name, what, help);
            return None;
        }
        Value::None | Value::Unreadable => {
            problems.report(name, format_args!("`{name}` takes a list of arguments"), help);
            return None;
        }
    };
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

fn read_remember(name: &Ident, value: Value, problems: &mut Problems) -> Option<Remember> {
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
fn choice<T: Copy>(
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
