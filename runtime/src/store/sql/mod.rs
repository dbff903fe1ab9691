//! Stores in SQL databases.

#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod columns;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod dialect;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod engine;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod failure;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod jobs;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod lane;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod name;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod rules;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod schedule;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod seats;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod tables;

pub use self::tables::{SqlDialect, schema};
