//! What a database's complaints mean, and what to do about them.

use crate::store::{StoreError, StoreErrorKind};

/// Why a step of an operation did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The database or its driver said so.
    Sql(sqlx::Error, Meaning),
    /// A record is there that cannot be understood.
    Corrupt(String),
    /// The database is not one that this release can use.
    Unsupported(String),
    /// Somebody else wrote at the same moment, and nothing was done.
    Raced,
    /// No answer came in time.
    TooLate,
}

/// What a complaint means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The statement met another one, and nothing of it was done: send it again.
    Raced,
    /// Somebody else keeps a row for longer than we would wait.
    Blocked,
    /// The tables are not there.
    Missing,
    /// The connection does not know the statement that it was to run.
    #[cfg_attr(not(feature = "mysql"), allow(dead_code, reason = "only MySQL says so"))]
    Unprepared,
    /// The connection is of no use any more.
    Disconnected,
    /// The statement was not to the database's liking, and will not be when it is sent again.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        allow(dead_code, reason = "SQLite says it in its own way")
    )]
    Refused,
    /// Something else that may be over later.
    Unavailable(&'static str),
    /// Something that will not be over by itself.
    Unsupported(&'static str),
    /// A record holds what this release cannot read.
    Corrupt,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        let meaning = meaning(&error);
        Self::Sql(error, meaning)
    }
}

impl Failure {
    pub(crate) fn meaning(&self) -> Meaning {
        match self {
            Self::Sql(_, meaning) => *meaning,
            Self::Corrupt(_) => Meaning::Corrupt,
            Self::Unsupported(_) => Meaning::Unsupported(""),
            Self::Raced => Meaning::Raced,
            Self::TooLate => Meaning::Unavailable(""),
        }
    }

    /// Whether the connection may go on being used: after a complaint of the database it may.
    pub(super) fn leaves_connection_usable(&self) -> bool {
        match self {
            Self::Sql(error, meaning) => {
                let answered = matches!(error, sqlx::Error::Database(_));
                answered && *meaning != Meaning::Disconnected
            }
            Self::TooLate => false,
            Self::Corrupt(_) | Self::Unsupported(_) | Self::Raced => true,
        }
    }

    /// Whether one job of a batch may be the reason: done one by one, the others succeed.
    pub(super) fn is_of_one_job(&self) -> bool {
        match self.meaning() {
            Meaning::Raced | Meaning::Blocked | Meaning::Corrupt => true,
            Meaning::Missing
            | Meaning::Unprepared
            | Meaning::Disconnected
            | Meaning::Refused
            | Meaning::Unavailable(_)
            | Meaning::Unsupported(_) => false,
        }
    }

    /// The failure for the first, and the same without its cause for the others.
    pub(super) fn for_each(self, many: usize) -> impl Iterator<Item = Self> {
        let copies: Vec<_> = (1..many).map(|_| self.copy()).collect();
        std::iter::once(self).chain(copies)
    }

    fn copy(&self) -> Self {
        match self {
            Self::Sql(error, meaning) => {
                Self::Sql(sqlx::Error::Protocol(error.to_string()), *meaning)
            }
            Self::Corrupt(what) => Self::Corrupt(what.clone()),
            Self::Unsupported(what) => Self::Unsupported(what.clone()),
            Self::Raced => Self::Raced,
            Self::TooLate => Self::TooLate,
        }
    }

    /// The error of a step in a transaction of the caller's. What would be sent again anywhere else
    /// must be begun again by the caller here.
    pub(super) fn in_transaction(self) -> StoreError {
        match self.meaning() {
            Meaning::Raced | Meaning::Blocked => {
                self.conflict("the transaction met another one; roll it back and begin it again")
            }
            // An earlier statement failed, or what was written breaks a rule of the tables.
            Meaning::Refused => {
                self.conflict("the database refuses the transaction, and nothing of it will stand")
            }
            _ => self.at("the database of the transaction"),
        }
    }

    fn conflict(self, message: &str) -> StoreError {
        let error = StoreError::new(StoreErrorKind::Conflict, message);
        match self {
            Self::Sql(source, _) => error.with_source(source),
            _ => error,
        }
    }

    /// The error to show, with what to do about it.
    pub(crate) fn at(self, place: &str) -> StoreError {
        use StoreErrorKind::{Corrupt, Unavailable, Unsupported};
        let meaning = self.meaning();
        match self {
            Self::Corrupt(what) => {
                let message = format!("a record in {place} cannot be understood: {what}");
                StoreError::new(Corrupt, message)
            }
            Self::Unsupported(what) => StoreError::new(Unsupported, format!("{place}: {what}")),
            Self::Raced => {
                let message = format!("{place}: others kept writing to the same keys; try again");
                StoreError::new(Unavailable, message)
            }
            Self::TooLate => {
                StoreError::new(Unavailable, format!("{place} did not answer in time"))
            }
            Self::Sql(error, _) => {
                let (kind, advice) = match meaning {
                    Meaning::Raced => (Unavailable, "others kept writing to the same keys"),
                    Meaning::Blocked => (Unavailable, "a transaction keeps the record locked"),
                    Meaning::Disconnected => (Unavailable, "the connection was lost"),
                    Meaning::Unprepared => (Unavailable, "the connection is another one now"),
                    Meaning::Refused => (Unavailable, "the server refused"),
                    Meaning::Unavailable(advice) => (Unavailable, advice),
                    Meaning::Unsupported(advice) => (Unsupported, advice),
                    Meaning::Corrupt => (Corrupt, "a record holds a value of the wrong type"),
                    Meaning::Missing => (
                        Unsupported,
                        "the tables of oncely are missing or not those of this release; apply \
                         `oncely::store::sql::schema`",
                    ),
                };
                StoreError::new(kind, format!("{place}: {advice}")).with_source(error)
            }
        }
    }
}

fn meaning(error: &sqlx::Error) -> Meaning {
    use sqlx::Error;
    match error {
        #[cfg(feature = "postgres")]
        Error::Database(complaint)
            if complaint.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() =>
        {
            super::postgres::meaning(&complaint.code().unwrap_or_default())
        }
        #[cfg(feature = "mysql")]
        Error::Database(complaint) => {
            match complaint.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
                Some(complaint) => super::mysql::meaning(complaint.number()),
                None => Meaning::Unavailable("the database refused"),
            }
        }
        Error::Configuration(_) => Meaning::Unsupported("the URL cannot be used"),
        Error::Tls(_) => Meaning::Unsupported(
            "the server wants an encrypted connection; switch on one of the `tls-` features of \
             sqlx in your own dependencies",
        ),
        Error::ColumnDecode { .. } | Error::Decode(_) | Error::TypeNotFound { .. } => {
            Meaning::Corrupt
        }
        Error::PoolTimedOut => Meaning::Unavailable("the pool has no connection to spare"),
        Error::PoolClosed => Meaning::Unavailable("the pool is closed"),
        Error::Io(_) => Meaning::Disconnected,
        _ => Meaning::Unavailable("the database did not answer"),
    }
}
