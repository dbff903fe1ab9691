//! The call that runs now: what its body may ask, and which keys it holds already.

use std::fmt;
use std::future::Future;
use std::iter::successors;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::group::Group;
use crate::model::{Key, Lease, Occupant, Operation, Token};

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
pub struct Call(Kind);

#[derive(Clone)]
enum Kind {
    /// Under leases.
    Held(Arc<Group>),
    /// In a transaction, or without protection.
    Bare(Arc<Title>),
}

/// What a body may ask about its call.
#[derive(Debug)]
pub(super) struct Title {
    operation: Operation,
    /// Of the key that the call is named after.
    pub(super) lease: Lease,
    token: u64,
    /// What makes the downstream keys of this holder its own.
    holder: Option<u64>,
    recorded: AtomicU8,
}

/// Who asks for keys.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) operation: Operation,
    pub(crate) downstream: Downstream,
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

impl Title {
    /// The title of `caller`, who has `lease` under a token of its own.
    pub(super) fn new(caller: &Caller, lease: Lease, token: u64) -> Self {
        let holder = (caller.downstream == Downstream::PerHolder).then_some(token);
        let (operation, recorded) = (caller.operation.clone(), AtomicU8::new(RUNNING));
        Self { operation, lease, token, holder, recorded }
    }

    pub(super) fn token(&self) -> u64 {
        self.token
    }

    pub(super) fn set_recorded(&self, recorded: bool) {
        let recorded = if recorded { RECORDED } else { NOT_RECORDED };
        self.recorded.store(recorded, Ordering::Release);
    }
}

impl Call {
    /// A call whose body runs under the leases of `group`.
    pub(super) fn held(group: &Arc<Group>) -> Self {
        Self(Kind::Held(Arc::clone(group)))
    }

    /// A call that holds `lease` until a transaction ends.
    pub(crate) fn joined(caller: &Caller, lease: &Lease) -> Self {
        let token = lease.token.value();
        Self(Kind::Bare(Arc::new(Title::new(caller, lease.clone(), token))))
    }

    /// A call whose body runs without a lease, because the store is down.
    pub(crate) fn unprotected(caller: &Caller, key: Key) -> Self {
        let mut title = Title::new(caller, Lease::new(key, Token::new(0), 1), 0);
        // Above every token, so that it names no holder that a store knows.
        title.holder = title.holder.map(|_| fastrand::u64(1 << 53..));
        title.set_recorded(false);
        Self(Kind::Bare(Arc::new(title)))
    }

    fn title(&self) -> &Title {
        match &self.0 {
            Kind::Held(group) => group.title(),
            Kind::Bare(title) => title,
        }
    }

    /// The operation: the function's path unless it was named; `lock` for a call that only locks.
    pub fn operation(&self) -> &str {
        self.title().operation.name()
    }

    /// The key as the caller rendered it; of several lock keys the first.
    pub fn key(&self) -> &str {
        self.title().lease.key.name()
    }

    /// 1, plus the number of attempts before this one that were interrupted half-way.
    pub fn attempt(&self) -> u32 {
        self.title().lease.attempt
    }

    /// The token to hand to a resource that refuses older ones; 0 for an unprotected call.
    ///
    /// Of several keys, the token of the first.
    pub fn fencing_token(&self) -> u64 {
        self.title().token
    }

    /// How long the lease still lasts by the local clock, renewals not counted; without end for a
    /// call that holds its key as long as a transaction lasts.
    pub fn remaining(&self) -> Duration {
        match &self.0 {
            Kind::Held(group) => group.remaining(),
            Kind::Bare(_) if self.is_protected() => Duration::MAX,
            Kind::Bare(_) => Duration::ZERO,
        }
    }

    /// Whether a lease or a transaction protects the body; `false` only after `on_store_error = "run"`
    /// met a store that is down.
    pub fn is_protected(&self) -> bool {
        self.title().token > 0
    }

    /// Whether the end of the call stands in the store; `None` while it runs, and while the store
    /// is being told, which goes on when the caller is dropped.
    ///
    /// `Some(false)` means that the body was stopped half-way, or that it came to its end and the
    /// store could not be told, or would not take it: a retry may run the body again.
    pub fn recorded(&self) -> Option<bool> {
        match self.title().recorded.load(Ordering::Acquire) {
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
        let title = self.title();
        let holder = title.holder.map(|token| token.to_string()).unwrap_or_default();
        for part in [title.lease.key.as_str(), &holder, purpose] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    pub(crate) fn set_recorded(&self, recorded: bool) {
        self.title().set_recorded(recorded);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation())
            .field("key", &self.key())
            .field("attempt", &self.attempt())
            .field("fencing_token", &self.fencing_token())
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
    pub(crate) fn may_hold(key: &Key) -> bool {
        Self::any_lease(|lease| lease.key == *key)
    }

    fn any_lease(is_meant: impl Fn(&Lease) -> bool) -> bool {
        let any = |innermost: &Self| {
            let mut frames = successors(Some(innermost), |frame| frame.outer.as_deref());
            frames.any(|frame| {
                // A detached call outlives its caller, and what that one held is somebody else's
                // then.
                let held = match &frame.call.0 {
                    Kind::Held(group) => !group.is_ending() && group.leases().any(&is_meant),
                    Kind::Bare(_) => false,
                };
                held || frame.joined.iter().any(&is_meant)
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
