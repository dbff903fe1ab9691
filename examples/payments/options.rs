//! What the command line may say.

use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::outside::Moment;

pub(crate) const USAGE: &str = "\
usage: payments [--store URL] [--serve [--dir DIR]]

Without --serve, starts the service, plays a client against it and checks every promise.

  --store URL   where oncely keeps its records: sqlite://FILE or memory:
                (default: an SQLite file beside the ledger)
  --serve       keep the service up, for curl; ctrl-c stops it
  --dir DIR     keep the ledger in DIR (default: a directory that is thrown away)";

pub(crate) struct Options {
    pub(crate) mode: Mode,
    store: Option<String>,
    dir: Option<PathBuf>,
}

pub(crate) enum Mode {
    Help,
    Play,
    Serve,
    /// A second server on the same store and ledger: a child of the process that plays.
    Second {
        stop_at: Option<Moment>,
    },
}

/// Where one service, on however many servers, keeps its things.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) store: String,
    _throw_away: Option<TempDir>,
}

impl Options {
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { mode: Mode::Play, store: None, dir: None };
        while let Some(flag) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--help" | "-h" => options.mode = Mode::Help,
                "--serve" => options.mode = Mode::Serve,
                "--store" => options.store = Some(value()?),
                "--dir" => options.dir = Some(value()?.into()),
                "--second" => options.mode = Mode::Second { stop_at: Moment::parse(&value()?)? },
                _ => return Err(format!("unknown argument {flag}")),
            }
        }
        match options {
            // The play counts from an empty ledger.
            Self { mode: Mode::Play, dir: Some(_), .. } => Err("--dir needs --serve".to_owned()),
            options => Ok(options),
        }
    }

    pub(crate) fn place(&self) -> io::Result<Place> {
        let (dir, throw_away) = match &self.dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let throw_away = tempfile::Builder::new().prefix("payments-").tempdir()?;
                (throw_away.path().to_owned(), Some(throw_away))
            }
        };
        std::fs::create_dir_all(&dir)?;
        let dir = dir.canonicalize()?;
        let beside = || format!("sqlite://{}", dir.join("oncely.db").display());
        let store = self.store.clone().unwrap_or_else(beside);
        Ok(Place { dir, store, _throw_away: throw_away })
    }
}

impl Place {
    /// Whether servers in two processes see the same records.
    pub(crate) fn is_shared(&self) -> bool {
        !self.store.starts_with("memory:")
    }
}
