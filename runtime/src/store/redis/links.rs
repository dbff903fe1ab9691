//! The connections to one server: one for each runtime that uses it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};

use super::address::Server;
use super::error::Failure;
use super::link::Link;

/// The connections of a store: one for each runtime that uses it, since a connection stands still
/// where its runtime does, and ends with it.
#[derive(Debug, Default)]
pub(super) struct Links {
    slots: Mutex<Vec<Arc<Slot>>>,
}

#[derive(Debug)]
struct Slot {
    runtime: Id,
    link: Mutex<Option<Arc<Link>>>,
    /// One at a time connects, and the others use what it gets.
    connecting: tokio::sync::Mutex<()>,
}

impl Links {
    /// The connection of this runtime, if there is one.
    pub(super) fn current(&self, runtime: &Handle) -> Option<Arc<Link>> {
        let runtime = runtime.id();
        let slots = self.slots.lock();
        slots.iter().find(|slot| slot.runtime == runtime)?.current()
    }

    /// The connection of this runtime, which is the current one, opened if there is none.
    pub(super) async fn open(
        &self,
        runtime: &Handle,
        server: &Server,
    ) -> Result<Arc<Link>, Failure> {
        let slot = self.slot(runtime.id());
        if let Some(link) = slot.current() {
            return Ok(link);
        }
        let _first = slot.connecting.lock().await;
        if let Some(link) = slot.current() {
            return Ok(link);
        }
        let link = Link::open(server, runtime.clone()).await?;
        *slot.link.lock() = Some(Arc::clone(&link));
        Ok(link)
    }

    fn slot(&self, runtime: Id) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.iter().find(|slot| slot.runtime == runtime) {
            return Arc::clone(slot);
        }
        // Runtimes that ended leave nothing behind.
        slots.retain(|slot| Arc::strong_count(slot) > 1 || slot.current().is_some());
        let (link, connecting) = Default::default();
        let slot = Arc::new(Slot { runtime, link, connecting });
        slots.push(Arc::clone(&slot));
        slot
    }
}

impl Slot {
    fn current(&self) -> Option<Arc<Link>> {
        self.link.lock().as_ref().filter(|link| link.is_alive()).cloned()
    }
}
