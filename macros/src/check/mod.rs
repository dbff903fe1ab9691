//! What the attributes ask of the function, held against what the function is. Only here a
//! [`Guarded`] is made, and only that can be expanded.

mod door;
mod generics;
mod keys;
mod options;
mod signature;
mod transaction;
mod warnings;

use proc_macro2::Ident;
use syn::{Attribute, Expr, LitStr, Path, Type};

use crate::diagnostics::Problems;
use crate::model::{
    Duration, Function, Idempotent, Lock, OnBusy, OnInterrupted, OnStoreError, Remember, Slot,
    Timing,
};

pub(crate) use door::Door;
pub(crate) use keys::{Key, Piece};
pub(crate) use transaction::Transaction;
pub(crate) use warnings::Warning;

/// Both attributes of one function as they were written.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) idempotent: Option<Idempotent>,
    pub(crate) lock: Option<Lock>,
}

/// A function and a plan that fits it.
pub(crate) struct Guarded<'function> {
    pub(crate) function: &'function Function,
    pub(crate) plan: Plan,
    _checked: Checked,
}

/// The proof that nothing was left to report.
struct Checked;

/// One plan for both attributes, whatever their order.
pub(crate) struct Plan {
    pub(crate) door: Door,
    pub(crate) returns: Type,
    /// Whether that type depends on a parameter.
    pub(crate) is_generic: bool,
    /// Whether outcomes are plain values, without the type being asked.
    pub(crate) is_value: bool,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) coordinator: Option<Expr>,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) work: Work,
}

pub(crate) enum Work {
    Once(Box<Once>, Option<Exclusive>),
    Exclusive(Exclusive),
}

/// Run once, and replay.
pub(crate) struct Once {
    pub(crate) operation: Option<LitStr>,
    pub(crate) key: Option<Key>,
    pub(crate) scope: Option<Key>,
    pub(crate) arguments: Vec<Fingerprinted>,
    pub(crate) retention: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) remember: Option<RememberErrors>,
    pub(crate) hold_when_interrupted: bool,
    pub(crate) detached: bool,
}

/// A name that takes part in the fingerprint.
pub(crate) struct Fingerprinted {
    pub(crate) name: Ident,
    /// The type of its argument, which says what part it plays; none where there is only one part to
    /// play, or where it cannot be spelt.
    pub(crate) ty: Option<Type>,
    /// Whether it is the whole argument, and not a part of its pattern.
    pub(crate) is_whole: bool,
    /// Whether it is a reference already, to be passed as it is.
    pub(crate) is_reference: bool,
    /// Whether its type depends on a parameter.
    pub(crate) is_generic: bool,
    /// Under which `#[cfg(…)]` it is there.
    pub(crate) conditions: Vec<Attribute>,
}

/// Run one at a time.
pub(crate) struct Exclusive {
    pub(crate) keys: Vec<Key>,
    pub(crate) limits: Limits,
    pub(crate) skip_when_busy: bool,
}

pub(crate) struct Limits {
    pub(crate) lease: Option<Duration>,
    pub(crate) max_hold: Option<Duration>,
    pub(crate) wait: Option<Duration>,
    pub(crate) run_without_store: bool,
}

/// Which errors are outcomes: all, or those for which the function says so.
pub(crate) struct RememberErrors {
    pub(crate) only: Option<Path>,
}

/// Checks everything, and reports all that is wrong; there is a plan only if nothing is.
pub(crate) fn check<'function>(
    function: &'function Function,
    written: Written,
    problems: &mut Problems,
) -> Option<Guarded<'function>> {
    let returns = signature::returns(function, problems);
    options::check(&written, problems);
    if let Some(idempotent) = &written.idempotent {
        signature::arguments(function, idempotent, problems);
        if let Some(returns) = &returns {
            signature::owned(function, returns, problems);
        }
    }
    let door = Door::of(&written, problems);
    let coordinator = options::coordinator(&written, problems);
    let transaction = transaction::transaction(function, &written, problems);
    let mut warnings = Vec::new();
    if let Some(lock) = &written.lock {
        warnings.extend(warnings::constant_keys(function, lock, problems));
    }
    let lock = written.lock.map(|lock| exclusive(function, lock, problems));
    let work = match written.idempotent {
        Some(idempotent) => {
            let once = once(function, idempotent, problems);
            let has_key = once.key.is_some();
            warnings.extend(warnings::unordered(function, has_key, &once.arguments));
            Work::Once(Box::new(once), lock)
        }
        None => Work::Exclusive(lock?),
    };
    let returns = returns?;
    let is_opaque = generics::is_opaque(&returns);
    let is_generic = generics::mentions_parameter(function, &returns) && !is_opaque;
    // Of a type that is not known yet, everything may be true.
    let is_value = is_opaque || generics::gives_plain(&returns);
    let plan =
        Plan { door, returns, is_generic, is_value, warnings, coordinator, transaction, work };
    problems.is_empty().then_some(Guarded { function, plan, _checked: Checked })
}

fn once(function: &Function, idempotent: Idempotent, problems: &mut Problems) -> Once {
    let arguments = signature::fingerprinted(function, &idempotent);
    keys::varies(function, &idempotent, &arguments, problems);
    let key = keys::resolved(function, &idempotent.key, problems);
    let scope = keys::resolved(function, &idempotent.scope, problems);
    let remember = idempotent.remember_errors.value.map(|remember| match remember {
        Remember::All => RememberErrors { only: None },
        Remember::If(path) => RememberErrors { only: Some(path) },
    });
    Once {
        operation: idempotent.operation.value,
        key,
        scope,
        arguments,
        retention: idempotent.retention.value,
        limits: limits(idempotent.timing),
        remember,
        hold_when_interrupted: idempotent.on_interrupted.value == Some(OnInterrupted::Hold),
        detached: idempotent.detached.is_written(),
    }
}

fn exclusive(function: &Function, lock: Lock, problems: &mut Problems) -> Exclusive {
    let several = lock.keys.value.into_iter().flatten();
    let templates: Vec<_> = lock.key.value.into_iter().chain(several).collect();
    let keys = templates
        .into_iter()
        .filter_map(|template| {
            let name = lock.key.name.clone().or_else(|| lock.keys.name.clone());
            keys::resolved(function, &Slot { name, value: Some(template) }, problems)
        })
        .collect();
    Exclusive {
        keys,
        limits: limits(lock.timing),
        skip_when_busy: lock.on_busy.value == Some(OnBusy::Skip),
    }
}

fn limits(timing: Timing) -> Limits {
    Limits {
        lease: timing.lease.value,
        max_hold: timing.max_hold.value,
        wait: timing.wait.value,
        run_without_store: timing.on_store_error.value == Some(OnStoreError::Run),
    }
}
