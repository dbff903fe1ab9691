//! Which transaction a call joins, or begins.

use proc_macro2::{Ident, TokenTree};
use quote::ToTokens;
use syn::{Expr, Type};

use super::Written;
use super::keys::names;
use crate::diagnostics::{Problems, instead};
use crate::model::{Function, Slot, Timing};
use crate::parse::item::bare;

/// Where the outcome is written.
pub(crate) enum Transaction {
    /// With the argument of this name.
    Joins(Ident),
    /// With one that is begun on this pool, which the body knows by this name.
    Begins(Ident, Expr),
}

/// The transaction of the plan, if there is one.
pub(super) fn transaction(
    function: &Function,
    written: &Written,
    problems: &mut Problems,
) -> Option<Transaction> {
    let claim = written.idempotent.as_ref();
    let lock = written.lock.as_ref();
    let claim_tx = claim.and_then(|it| argument(function, &it.timing.tx, problems));
    let lock_tx = lock.and_then(|it| argument(function, &it.timing.tx, problems));
    let begins = claim.is_some_and(|it| it.begin.is_written());
    if let (Some(lock), Some(claim)) = (lock, claim) {
        together(&lock.timing, claim.timing.tx.is_written() || begins, problems);
    }
    if let (Some(one), Some(other)) = (&claim_tx, &lock_tx)
        && one != other
    {
        let what = "the two attributes name different transactions";
        problems.report(other, what, "claim and lock are taken together: name one transaction");
    }
    match claim.and_then(|it| it.begin.value.clone()) {
        Some((name, pool)) => Some(Transaction::Begins(name, pool)),
        None => claim_tx.or(lock_tx).map(Transaction::Joins),
    }
}

/// A lock beside a claim belongs to the same transaction.
fn together(lock: &Timing, claim_has_transaction: bool, problems: &mut Problems) {
    match &lock.tx.name {
        Some(tx) if !claim_has_transaction => {
            let what = "the lock is in a transaction, and the claim is not";
            problems.report(tx, what, "write `tx` at `#[idempotent]` as well");
        }
        None if claim_has_transaction => {
            for name in [&lock.lease.name, &lock.max_hold.name].into_iter().flatten() {
                let what = format!("`{name}` contradicts the transaction of `#[idempotent]`");
                let help = "it holds the lock as well, until it ends: leave it out";
                problems.report(name, what, help);
            }
        }
        Some(_) | None => {}
    }
}

/// The argument that `tx` names, under the name by which the body sees it.
fn argument(function: &Function, tx: &Slot<Expr>, problems: &mut Problems) -> Option<Ident> {
    let (_, expr) = tx.given()?;
    let named = match expr {
        Expr::Path(path) => path.path.get_ident(),
        _ => None,
    };
    let Some(named) = named else {
        let what = "`tx` takes the name of an argument";
        let help = match expr.to_token_stream().into_iter().last() {
            // `&mut tx`
            Some(TokenTree::Ident(name)) if names(function).contains(&name.to_string()) => {
                format!("write `tx = {name}`")
            }
            _ => "pass the transaction as an argument, and write its name".to_owned(),
        };
        problems.report(expr, what, help);
        return None;
    };
    for argument in &function.arguments {
        let Some(binding) = argument.bindings.iter().find(|binding| *binding == named) else {
            continue;
        };
        match bare(&argument.ty) {
            Type::Reference(reference) if reference.mutability.is_none() => {
                let what =
                    format!("`{named}` is a shared reference, and a transaction is written to");
                problems.report(&argument.ty, what, "take it as `&mut`");
                return None;
            }
            Type::Reference(_) => return Some(binding.clone()),
            ty => {
                let what = format!("`{named}` is not a `&mut` reference to a transaction");
                problems.report(ty, what, "borrow it, as `&mut`: its owner commits it");
                return None;
            }
        }
    }
    let known = names(function);
    let function = &function.signature.ident;
    let help = match known.is_empty() {
        true => "it has none; take the transaction as one".to_owned(),
        false => instead(&named.to_string(), "arguments", &known),
    };
    problems.report(named, format!("`{named}` is not an argument of `{function}`"), help);
    None
}
