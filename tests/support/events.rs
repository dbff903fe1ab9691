//! Listens to the events of this thread.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Event, Metadata, Subscriber};

/// The messages of `oncely` on this thread, as long as it lives.
#[derive(Debug)]
pub struct Events {
    messages: Arc<Mutex<Vec<String>>>,
    _listening: DefaultGuard,
}

impl Events {
    /// Listens from now on.
    pub fn listen() -> Self {
        let messages = Arc::default();
        let listening = set_default(Listener { messages: Arc::clone(&messages) });
        Self { messages, _listening: listening }
    }

    /// How many messages contain `text`.
    pub fn count(&self, text: &str) -> usize {
        self.messages.lock().iter().filter(|message| message.contains(text)).count()
    }
}

struct Listener {
    messages: Arc<Mutex<Vec<String>>>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("oncely")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.messages.lock().push(message.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
