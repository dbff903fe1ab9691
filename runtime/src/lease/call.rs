//! The call that runs now: what its body may ask, and which keys it holds already.

use std::fmt;
use std::future::Future;
use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::group::Group;
use crate::model::{Key, Lease, Occupant, Operation};

tokio::task_local! {
    static CURRENT: Frame;
}

/// The protected call whose body runs now in this task; `None` outside of one.
///
/// A spawned task is not part of the call that spawned it: hand it a clone of the [`Call`].
///
/// ```
/// # async fn example() {
/// if let Some(call) = oncely::current() {
///     println!("attempt {} of {}", call.attempt(), call.key());
/// }
/// # }
/// ```
pub fn current() -> Option<Call> {
    CURRENT.try_with(|frame| frame.call.clone()).ok()
}

/// A protected call, as its body sees it. Cheap to clone; a clone may outlive the body.
#[derive(Clone)]
pub struct Call(Arc<Inner>);

struct Inner {
    operation: Operation,
    key: Key,
    /// What makes the downstream keys of this holder its own.
    holder: Option<u64>,
    attempt: u32,
    token: u64,
    group: Option<Arc<Group>>,
    recorded: AtomicU8,
}

const RUNNING: u8 = 0;
const RECORDED: u8 = 1;
const NOT_RECORDED: u8 = 2;

/// Who shares the downstream keys of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Downstream {
    /// Every attempt of one idempotent call.
    PerCall,
    /// Nobody: two holders of one lock are two calls, and must not look like one to the next
    /// service.
    PerHolder,
}

impl Call {
    /// A call whose body runs under `lease`.
    pub(crate) fn held(
        operation: &Operation,
        lease: &Lease,
        group: &Arc<Group>,
        downstream: Downstream,
    ) -> Self {
        let token = group.fencing_token(lease);
        Self(Arc::new(Inner {
            operation: operation.clone(),
            key: lease.key.clone(),
            holder: (downstream == Downstream::PerHolder).then_some(token),
            attempt: lease.attempt,
            token,
            group: Some(Arc::clone(group)),
            recorded: AtomicU8::new(RUNNING),
        }))
    }

    /// A call that holds `lease` until a transaction ends.
    pub(crate) fn joined(operation: &Operation, lease: &Lease, downstream: Downstream) -> Self {
        let token = lease.token.value();
        Self(Arc::new(Inner {
            operation: operation.clone(),
            key: lease.key.clone(),
            holder: (downstream == Downstream::PerHolder).then_some(token),
            attempt: lease.attempt,
            token,
            group: None,
            recorded: AtomicU8::new(RUNNING),
        }))
    }

    /// A call whose body runs without a lease, because the store is down.
    pub(crate) fn unprotected(operation: &Operation, key: Key, downstream: Downstream) -> Self {
        // Above every token, so that it names no holder that a store knows.
        let nobody_else = || fastrand::u64(1 << 53..);
        Self(Arc::new(Inner {
            operation: operation.clone(),
            key,
            holder: (downstream == Downstream::PerHolder).then(nobody_else),
            attempt: 1,
            token: 0,
            group: None,
            recorded: AtomicU8::new(NOT_RECORDED),
        }))
    }

    /// The operation: the function's path unless it was named; `lock` for a call that only locks.
    pub fn operation(&self) -> &str {
        self.0.operation.name()
    }

    /// The key as the caller rendered it; of several lock keys the first.
    pub fn key(&self) -> &str {
        self.0.key.name()
    }

    /// 1, plus the number of attempts before this one that were interrupted half-way.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// The token to hand to a resource that refuses older ones; 0 for an unprotected call.
    ///
    /// Of several keys, the token of the first.
    pub fn fencing_token(&self) -> u64 {
        self.0.token
    }

    /// How long the lease still lasts by the local clock, renewals not counted; without end for a
    /// call that holds its key as long as a transaction lasts.
    pub fn remaining(&self) -> Duration {
        match &self.0.group {
            Some(group) => group.remaining(),
            None if self.is_protected() => Duration::MAX,
            None => Duration::ZERO,
        }
    }

    /// Whether a lease or a transaction protects the body; `false` only after `on_store_error = "run"` met a store
    /// that is down.
    pub fn is_protected(&self) -> bool {
        self.0.token > 0
    }

    /// Whether the end of the call stands in the store; `None` while it runs, and while the store
    /// is being told, which goes on when the caller is dropped.
    ///
    /// `Some(false)` means that the body was stopped half-way, or that it came to its end and the
    /// store could not be told, or would not take it: a retry may run the body again.
    pub fn recorded(&self) -> Option<bool> {
        match self.0.recorded.load(Ordering::Acquire) {
            RUNNING => None,
            recorded => Some(recorded == RECORDED),
        }
    }

    /// A key to hand to the next service: the same for every attempt of this call, different for
    /// each `purpose` and each call. 64 hexadecimal digits, which say nothing about the key.
    ///
    /// For a call that only locks it is different for each holder.
    ///
    /// ```
    /// # async fn charge(_key: &str) {}
    /// # async fn example() {
    /// let call = oncely::current().expect("inside a protected body");
    /// charge(&call.downstream_key("charge")).await;
    /// # }
    /// ```
    pub fn downstream_key(&self, purpose: &str) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("oncely downstream key v1");
        let holder = self.0.holder.map(|token| token.to_string()).unwrap_or_default();
        for part in [self.0.key.as_str(), &holder, purpose] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    pub(crate) fn set_recorded(&self, recorded: bool) {
        let recorded = if recorded { RECORDED } else { NOT_RECORDED };
        self.0.recorded.store(recorded, Ordering::Release);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation())
            .field("key", &self.key())
            .field("attempt", &self.0.attempt)
            .field("fencing_token", &self.0.token)
            .finish_non_exhaustive()
    }
}

/// A call and the calls around it, with the leases they hold.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    call: Call,
    /// What it holds until a transaction ends.
    joined: Vec<Lease>,
    outer: Option<Arc<Frame>>,
}

impl Frame {
    /// The innermost frame of this task.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Whether a call around this point is the occupant: waiting for it would never end. Told by
    /// the token, because a coordinator on another store has keys of the same names, and because
    /// somebody else may have taken the key over.
    ///
    /// Only ancestors count. Two futures joined in one task are siblings, and the one may well wait
    /// for the other.
    pub(crate) fn holds(occupant: &Occupant) -> bool {
        Self::any_lease(|lease| lease.token == occupant.token && lease.key == occupant.key)
    }

    /// Whether a call around this point may be in the way of one that needs `key`.
    pub(super) fn may_hold(key: &Key) -> bool {
        Self::any_lease(|lease| lease.key == *key)
    }

    fn any_lease(is_meant: impl Fn(&Lease) -> bool) -> bool {
        let any = |innermost: &Self| {
            let mut frames = successors(Some(innermost), |frame| frame.outer.as_deref());
            frames.any(|frame| {
                // A detached call outlives its caller, and what that one held is somebody else's
                // then.
                let group = frame.call.0.group.as_ref().filter(|group| !group.is_ending());
                group.is_some_and(|group| group.leases().any(&is_meant))
                    || frame.joined.iter().any(&is_meant)
            })
        };
        CURRENT.try_with(any).unwrap_or(false)
    }

    /// Runs `body` as `call`, under its leases.
    pub(crate) fn scope<F: Future>(
        call: Call,
        body: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        Self::scope_joined(call, Vec::new(), body)
    }

    /// Runs `body` as `call`, which holds `joined` until a transaction ends.
    pub(crate) fn scope_joined<F: Future>(
        call: Call,
        joined: Vec<Lease>,
        body: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let outer = Self::current().map(Arc::new);
        CURRENT.scope(Self { call, joined, outer }, body)
    }

    /// Runs `work` where `frame` is the innermost one: a detached call is still its caller's.
    pub(crate) async fn within<F: Future>(frame: Option<Self>, work: F) -> F::Output {
        match frame {
            Some(frame) => CURRENT.scope(frame, work).await,
            None => work.await,
        }
    }
}
