//! What really happened: an append-only file that knows nothing of oncely and its store.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Path>);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) event: Event,
    pub(crate) id: String,
    pub(crate) order_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) amount: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency_key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// Money left the card.
    Charged,
    /// The processor was asked again with a key it knew, and took nothing.
    Recognized,
    /// Money left the account.
    Transferred,
    /// A parcel left the house.
    Shipped,
}

impl Ledger {
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.into())
    }

    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Appends what `next` makes of the entries so far. It is on the disk when this returns, and
    /// survives whatever happens to the process from then on.
    pub(crate) fn append(&self, next: impl FnOnce(&[Entry]) -> Entry) -> io::Result<Entry> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&self.0)?;
        file.lock()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let entry = next(&parse(&text)?);
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_all()?;
        Ok(entry)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = match self.event {
            Event::Charged => "charged",
            Event::Recognized => "recognized",
            Event::Transferred => "transferred",
            Event::Shipped => "shipped",
        };
        write!(f, "{event:<11}  {:<10}  {}", self.id, self.order_id)?;
        match self.amount {
            Some(amount) => write!(f, "  {amount:>5}"),
            None => Ok(()),
        }
    }
}

fn parse(text: &str) -> io::Result<Vec<Entry>> {
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
