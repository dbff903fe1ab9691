//! The connections to one server: one for each runtime that uses it.

use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::runtime::{Handle, Id};
use tokio::sync::watch;
use tokio::time::timeout;

use super::LIMIT;
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
    /// Where those who need a connection hear of it, while a task connects.
    connecting: Mutex<Weak<watch::Sender<Opened>>>,
}

/// What came of a try to connect; nothing as long as it goes on.
type Opened = Option<Result<Arc<Link>, Failure>>;

impl Links {
    /// The connection of this runtime, if there is one.
    pub(super) fn current(&self, runtime: &Handle) -> Option<Arc<Link>> {
        let runtime = runtime.id();
        let slots = self.slots.lock();
        slots.iter().find(|slot| slot.runtime == runtime)?.current()
    }

    /// The connection of this runtime, which is the current one, opened if there is none.
    ///
    /// # Cancel safety
    /// Dropped, the try goes on, for others and for at most [`LIMIT`].
    pub(super) async fn open(
        &self,
        runtime: &Handle,
        server: &Server,
    ) -> Result<Arc<Link>, Failure> {
        let slot = self.slot(runtime.id());
        loop {
            let mut told = slot.connecting(runtime, server);
            let opened = match told.wait_for(Option::is_some).await {
                Ok(opened) => opened.clone(),
                Err(_) => None,
            };
            match opened {
                // It began before us, perhaps, and we have time left for another.
                Some(Err(Failure::TooLate)) => {}
                Some(opened) => return opened,
                // The runtime has ended.
                None => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            }
        }
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

    /// What will be told of the try to connect that is under way, or begins now.
    ///
    /// It has a task of its own: a caller may stop half-way, and be left alone for long.
    fn connecting(self: &Arc<Self>, runtime: &Handle, server: &Server) -> watch::Receiver<Opened> {
        let mut connecting = self.connecting.lock();
        if let Some(tell) = connecting.upgrade() {
            return tell.subscribe();
        }
        let tell = Arc::new(watch::Sender::default());
        *connecting = Arc::downgrade(&tell);
        let told = tell.subscribe();
        let (slot, server, link) = (Arc::clone(self), server.clone(), runtime.clone());
        runtime.spawn(async move {
            let opened = timeout(LIMIT, slot.connect(&server, link)).await;
            tell.send_replace(Some(opened.unwrap_or(Err(Failure::TooLate))));
        });
        told
    }

    async fn connect(&self, server: &Server, runtime: Handle) -> Result<Arc<Link>, Failure> {
        // Another task may have been faster.
        if let Some(link) = self.current() {
            return Ok(link);
        }
        let link = Link::open(server, runtime).await?;
        *self.link.lock() = Some(Arc::clone(&link));
        Ok(link)
    }
}
