//! Stores in SQL databases.

#[cfg(feature = "sqlite")]
pub mod sqlite;
