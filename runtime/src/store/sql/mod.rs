//! Stores in SQL databases.

#[cfg(feature = "sqlite")]
mod record;
#[cfg(feature = "sqlite")]
pub mod sqlite;
