//! What a call asks of its store: its keys, for how long, and on whose behalf.

use std::iter::once;
use std::time::Duration;

use super::call::Caller;
use crate::model::{Key, LeaseRequest};

/// A wish for one key, and how long it may be held in all.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) request: LeaseRequest,
    pub(crate) max_hold: Duration,
}

/// The keys of one call, which it gets together or not at all.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) caller: Caller,
    first: Claim,
    /// Nearly always none, and then nothing is allocated.
    others: Vec<Claim>,
}

impl Claims {
    pub(crate) fn new(caller: Caller, first: Claim) -> Self {
        Self { caller, first, others: Vec::new() }
    }

    /// Adds a claim, unless there is one of the same key.
    pub(crate) fn add(&mut self, claim: Claim) {
        if self.iter().all(|other| other.request.key != claim.request.key) {
            self.others.push(claim);
        }
    }

    /// The claim that the call is named after.
    pub(crate) fn first(&self) -> &Claim {
        &self.first
    }

    /// The key that the call is named after.
    pub(crate) fn key(&self) -> &Key {
        &self.first.request.key
    }

    pub(crate) fn others(&self) -> &[Claim] {
        &self.others
    }

    /// The claim, if it is but one.
    pub(super) fn only(&self) -> Option<&Claim> {
        self.others.is_empty().then_some(&self.first)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Claim> {
        once(&self.first).chain(&self.others)
    }
}
