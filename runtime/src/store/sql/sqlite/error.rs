//! What SQLite's complaints mean to a caller, and what to do about them.

use std::io::ErrorKind;
use std::path::Path;

use crate::store::{StoreError, StoreErrorKind};

/// Why a step of an operation did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite or its driver said so.
    Sql(sqlx::Error),
    /// A record is there that cannot be understood.
    Corrupt(String),
    /// The database is not one that this release can use.
    Unsupported(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

const ERROR: i32 = 1;
const PERM: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

impl Failure {
    /// Whether somebody else held the lock for longer than we would wait.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sql(error) if matches!(primary_code(error), Some(BUSY | LOCKED)))
    }

    /// Whether the connection may go on being used. A connection is cheap to open again, so every
    /// complaint but the harmless ones ends it.
    pub(super) fn leaves_connection_usable(&self) -> bool {
        self.is_busy() || !matches!(self, Self::Sql(_))
    }

    /// The error to show, with what to do about it.
    pub(super) fn at(self, path: &Path) -> StoreError {
        let path = path.display();
        match self {
            Self::Corrupt(what) => StoreError::new(
                StoreErrorKind::Corrupt,
                format!("a record in `{path}` cannot be understood: {what}"),
            ),
            Self::Unsupported(what) => {
                StoreError::new(StoreErrorKind::Unsupported, format!("`{path}`: {what}"))
            }
            Self::Sql(error) => {
                let (kind, advice) = meaning(&error);
                StoreError::new(kind, format!("`{path}`: {advice}")).with_source(error)
            }
        }
    }
}

fn meaning(error: &sqlx::Error) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Corrupt, Unavailable, Unsupported};
    match (error, primary_code(error)) {
        (_, Some(BUSY | LOCKED)) => {
            (Unavailable, "another process kept the database locked for 5 s; try again")
        }
        (_, Some(READONLY | PERM)) => (
            Unavailable,
            "the database cannot be written; allow writing to the file and its folder, and leave \
             out `mode=ro`",
        ),
        (_, Some(CANTOPEN)) => (
            Unavailable,
            "the database cannot be opened; the path must name a file, in a folder that exists \
             and can be written",
        ),
        (_, Some(FULL)) => (Unavailable, "the disk is full"),
        (_, Some(NOTADB)) => (
            Unsupported,
            "the file is not an SQLite database; nothing was changed, choose another path",
        ),
        (_, Some(CORRUPT)) => (Corrupt, "the database file is damaged"),
        (_, Some(ERROR)) => (
            Unsupported,
            "the tables `oncely_meta` and `oncely_records` are missing or not those of oncely",
        ),
        (sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_), _) => {
            (Unsupported, "the URL cannot be used; write `sqlite://path/to/file.db`")
        }
        (sqlx::Error::Io(error), _) if error.kind() == ErrorKind::InvalidData => {
            (Unsupported, "the path in the URL cannot be used")
        }
        (
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::TypeNotFound { .. },
            _,
        ) => (Corrupt, "a record holds a value of the wrong type"),
        _ => (Unavailable, "the database did not answer"),
    }
}

/// The result code without its extension.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
