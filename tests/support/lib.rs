//! What the test suites share: fixtures and counters.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

pub mod memory;
pub mod proxy;
pub mod redis;
pub mod reference;
pub mod sqlite;
