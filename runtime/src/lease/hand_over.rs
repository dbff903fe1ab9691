//! A held lock on its way from one caller of this process to the next, without the store.

use std::sync::Arc;

use super::close::Running;
use super::group::Group;
use super::held::Held;
use super::line::Lead;
use super::take::Leases;

/// A lock that its holder is done with, for whoever comes next. Nobody renews it until it is taken,
/// so a caller whose future is not polled any more keeps it no longer than the lease lasts.
#[derive(Debug)]
pub(super) struct Offer(Option<Parts>);

#[derive(Debug)]
struct Parts {
    leases: Arc<Leases>,
    group: Arc<Group>,
    lead: Lead,
    /// A shutdown waits for it, and names it.
    running: Running,
}

impl Offer {
    pub(super) fn new(leases: &Arc<Leases>, group: Arc<Group>, lead: Lead) -> Self {
        let running = Running::new(leases, group.leases().map(|lease| &lease.key));
        Self(Some(Parts { leases: Arc::clone(leases), group, lead, running }))
    }

    /// Takes it; `None` if it came too late to be of use.
    pub(super) fn take(mut self) -> Option<Held> {
        let held = self.0.take()?.into_held();
        (held.group().remaining() >= held.group().shortest() / 4).then_some(held)
    }
}

impl Parts {
    fn into_held(self) -> Held {
        let held = Held::handed(self.leases, self.group, self.lead);
        // Renewed from now on.
        drop(self.running);
        held
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        // Its drop hands it on, or gives it back to the store.
        drop(self.0.take().map(Parts::into_held));
    }
}
