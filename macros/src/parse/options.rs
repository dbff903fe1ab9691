//! The options of both attributes: which there are, and what value each takes.

use proc_macro2::{Ident, TokenStream};

use super::args::{Arg, Value, args};
use super::values::{
    choice, read_begin, read_duration, read_expr, read_flag, read_name, read_names, read_path,
    read_remember, read_template, read_templates, read_transaction,
};
use crate::diagnostics::{Problems, instead};
use crate::model::{Idempotent, KeyPart, Lock, OnBusy, OnInterrupted, OnStoreError, Slot, Timing};

const IDEMPOTENT: [&str; 16] = [
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
    "crate",
];

const LOCK: [&str; 11] = [
    "key",
    "keys",
    "constant",
    "lease",
    "max_hold",
    "wait",
    "on_busy",
    "on_store_error",
    "tx",
    "coordinator",
    "crate",
];

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
            "begin" => set_once(&mut options.begin, arg, read_begin, problems),
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
            "constant" => set_once(&mut options.constant, arg, read_flag, problems),
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

/// Reads the options of `#[key_part(…)]`.
pub(crate) fn key_part(tokens: TokenStream, problems: &mut Problems) -> KeyPart {
    let mut options = KeyPart::default();
    for arg in args(tokens, problems) {
        match arg.name.to_string().as_str() {
            "crate" => set_once(&mut options.path, arg, read_path, problems),
            _ => {
                let what = format!("`{}` is not an option of `#[key_part]`", arg.name);
                problems.report(&arg.name, what, "the only one is `crate = \"…\"`");
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
        "tx" => set_once(&mut timing.tx, arg, read_transaction, problems),
        "coordinator" => set_once(&mut timing.coordinator, arg, read_expr, problems),
        "crate" => set_once(&mut timing.path, arg, read_path, problems),
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
    } else if let Some((.., meant)) =
        ALIASES.iter().find(|(alias, option, _)| *alias == word && known.contains(option))
    {
        (*meant).to_owned()
    } else {
        let known: Vec<String> = known.iter().map(|&name| name.to_owned()).collect();
        instead(&word, "options", &known)
    };
    problems.report(name, what, help);
}

/// What people coming from other libraries write first, an option that they may mean, and what to say
/// where there is that option.
const ALIASES: [(&str, &str, &str); 9] = [
    ("ttl", "retention", ENDS),
    ("ttl", "lease", LEASE),
    ("expiry", "retention", ENDS),
    ("expiry", "lease", LEASE),
    ("expires", "retention", ENDS),
    ("expires", "lease", LEASE),
    (
        "timeout",
        "wait",
        "`wait` says how long to wait for another call, `max_hold` how long the body may keep the key",
    ),
    ("name", "operation", "write `operation = \"…\"`"),
    ("store", "coordinator", "a coordinator has the store: write `coordinator = …`"),
];
const ENDS: &str =
    "`retention` says how long an outcome replays, `lease` how long a silent holder keeps the key";
const LEASE: &str = "`lease` says how long a silent holder keeps the lock";
