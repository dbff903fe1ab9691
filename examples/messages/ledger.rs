//! What really happened: a file that knows nothing of oncely.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use oncely::Unfingerprinted;

/// The orders that were charged, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(PathBuf);

/// Where it is written down does not make it another charge.
impl Unfingerprinted for Ledger {}

impl Ledger {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Charges an order; it is on the disk when this returns.
    pub(crate) fn charge(&self, order: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0)?;
        file.write_all(format!("{order}\n").as_bytes())?;
        file.sync_all()
    }

    pub(crate) fn lines(&self) -> io::Result<Vec<String>> {
        Ok(std::fs::read_to_string(&self.0)?.lines().map(str::to_owned).collect())
    }
}
