//! Calls that join a transaction: what they write and their outcome become real together, or not
//! at all.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

#[macro_use]
mod database;

mod attributes;
mod builders;
mod crowds;
mod drops;
mod faults;
mod locks;
mod refusals;
mod statements;
mod sweep;
mod waiting;

use oncely::Error;

/// What a body can fail with.
#[derive(Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub(crate) enum Failed {
    #[error("refused: {0}")]
    Refused(String),
    #[error("declined")]
    Declined,
    #[error("sql: {0}")]
    Sql(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Refused(format!("{:?}", error.kind()))
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error.to_string())
    }
}
