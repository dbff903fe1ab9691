//! What the test suites share: fixtures and counters.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

pub mod cluster;
pub mod events;
pub mod fixture;
pub mod memory;
pub mod mysql;
pub mod payments;
pub mod postgres;
pub mod processes;
pub mod proxy;
pub mod redis;
pub mod reference;
pub mod server;
pub mod soon;
pub mod sqlite;
pub mod stage;
pub mod tls;

use std::time::Duration;

pub use fixture::Fixture;
pub use soon::soon;
pub use stage::{Counter, Stage};

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
