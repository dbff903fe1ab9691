//! Options that contradict each other, or a world in which time passes.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::Expr;

use super::Written;
use crate::diagnostics::Problems;
use crate::model::{Duration, Idempotent, Lock, OnStoreError, Slot, Timing};

/// What holds where nothing is written, in milliseconds and in words.
const MAX_HOLD: (u64, &str) = (3_600_000, "1h");
const RETENTION: (u64, &str) = (86_400_000, "24h");
/// What a lease needs to be renewed in time; so much must be left of whatever limits it, too.
const SHORTEST: (u64, &str) = (10, "10ms");

/// Reports every contradiction.
pub(super) fn check(written: &Written, problems: &mut Problems) {
    if let Some(idempotent) = &written.idempotent {
        durations(&idempotent.timing, problems);
        retention(idempotent, problems);
        transactions(idempotent, problems);
    }
    if let Some(lock) = &written.lock {
        durations(&lock.timing, problems);
        transaction(&lock.timing, problems);
        lock_keys(lock, problems);
    }
}

/// The coordinator of the plan, which both attributes may name as long as they agree.
pub(super) fn coordinator(written: &Written, problems: &mut Problems) -> Option<Expr> {
    let of = |timing: &Timing| timing.coordinator.value.clone();
    let first = written.idempotent.as_ref().and_then(|idempotent| of(&idempotent.timing));
    let second = written.lock.as_ref().and_then(|lock| of(&lock.timing));
    match (first, second) {
        (Some(first), Some(second)) => {
            if first.to_token_stream().to_string() != second.to_token_stream().to_string() {
                let what = "the two attributes name different coordinators";
                let help =
                    "claim and lock are taken together, from one store: name one coordinator";
                problems.report(second, what, help);
            }
            Some(first)
        }
        (first, second) => first.or(second),
    }
}

fn durations(timing: &Timing, problems: &mut Problems) {
    long_enough(&timing.lease, "a lease that ends at once protects nothing", problems);
    long_enough(&timing.max_hold, "a key that may not be held protects nothing", problems);
    at_most("max_hold", &timing.lease, &timing.max_hold, MAX_HOLD, problems);
}

fn retention(idempotent: &Idempotent, problems: &mut Problems) {
    let why = "an outcome that is forgotten at once is never replayed";
    long_enough(&idempotent.retention, why, problems);
    at_most("retention", &idempotent.timing.lease, &idempotent.retention, RETENTION, problems);
}

/// Reports a time in which no lease can be kept; `why` none makes no sense at all.
fn long_enough(slot: &Slot<Duration>, why: &str, problems: &mut Problems) {
    let Some((name, duration)) = slot.given() else { return };
    let (shortest, text) = SHORTEST;
    let written = duration.literal.value();
    let what = match duration.milliseconds {
        0 => format!("`{name}` cannot be zero: {why}"),
        short if short < shortest => {
            format!("`{name}` is too short: {written} leaves no time to keep a lease")
        }
        _ => return,
    };
    let help = format!("write `{name} = \"{text}\"` or more, or leave it out");
    problems.report(&duration.literal, what, help);
}

/// Reports a lease that outlives `limit`. Where no lease is written, the default gives way.
fn at_most(
    limit_name: &str,
    lease: &Slot<Duration>,
    limit: &Slot<Duration>,
    default: (u64, &str),
    problems: &mut Problems,
) {
    let Some(lease) = &lease.value else { return };
    let (short, limit_text) = match &limit.value {
        Some(limit) => (limit.milliseconds, limit.literal.value()),
        None if limit.is_written() => return,
        None => (default.0, format!("{} by default", default.1)),
    };
    if lease.milliseconds <= short || short < SHORTEST.0 {
        return;
    }
    let lease_text = lease.literal.value();
    problems.report(
        &lease.literal,
        format_args!("the lease ({lease_text}) is longer than `{limit_name}` ({limit_text})"),
        format_args!("shorten `lease`, or raise `{limit_name}`"),
    );
}

fn lock_keys(lock: &Lock, problems: &mut Problems) {
    match (&lock.key.name, &lock.keys.name) {
        (Some(_), Some(keys)) => problems.report(
            keys,
            "`key` and `keys` are both set",
            "put all templates into `keys = […]`",
        ),
        (None, None) => problems.report(
            Ident::new("with_lock", Span::call_site()),
            "`#[with_lock]` needs to know what to lock",
            "write `#[with_lock(key = \"order:<order_id>\")]`",
        ),
        (Some(_), None) | (None, Some(_)) => {}
    }
}

fn transactions(idempotent: &Idempotent, problems: &mut Problems) {
    let timing = &idempotent.timing;
    transaction(timing, problems);
    if let (Some(_), Some(tx)) = (&idempotent.begin.name, &timing.tx.name) {
        let what = "`tx` and `begin` are both set";
        problems.report(tx, what, "`begin` makes a transaction, `tx` joins one: keep one");
    }
    if let Some(begin) = &idempotent.begin.name {
        holds(begin, timing, problems);
    }
    let joins = timing.tx.name.as_ref().or(idempotent.begin.name.as_ref());
    if let (Some(detached), Some(joins)) = (&idempotent.detached.name, joins) {
        let what = format!("`detached` contradicts `{joins}`");
        let help = "a transaction ends with its caller; keep one of the two";
        problems.report(detached, what, help);
    }
}

fn transaction(timing: &Timing, problems: &mut Problems) {
    if let Some(tx) = &timing.tx.name {
        holds(tx, timing, problems);
    }
}

/// Options of a lease, where there is none.
fn holds(transaction: &Ident, timing: &Timing, problems: &mut Problems) {
    for name in [&timing.lease.name, &timing.max_hold.name].into_iter().flatten() {
        let what = format!("`{name}` contradicts `{transaction}`");
        problems.report(name, what, "the transaction holds the key until it ends: leave it out");
    }
    if let Some((name, OnStoreError::Run)) = timing.on_store_error.given() {
        let what = format!("`{name} = \"run\"` contradicts `{transaction}`");
        let help = "without the database there is no transaction either: leave it out";
        problems.report(name, what, help);
    }
}
