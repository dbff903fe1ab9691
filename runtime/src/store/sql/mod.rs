//! Stores in SQL databases.

mod begins;
mod carried;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod columns;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod dialect;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod engine;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    allow(dead_code, reason = "an SQLite file meets fewer failures")
)]
mod failure;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod forecast;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod jobs;
mod joins;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod lane;
#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod name;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    allow(dead_code, reason = "an SQLite file needs fewer of them")
)]
mod rules;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod schedule;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod seats;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod tables;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod wanted;

pub use self::begins::Begins;
#[doc(hidden)]
pub use self::begins::{HasPool, Uncommitted};
pub(crate) use self::carried::Carried;
#[doc(hidden)]
pub use self::joins::{Claim, Joins, Purpose};
pub use self::joins::{DatabaseId, SqlTransaction};
pub use self::tables::{SqlDialect, schema};
