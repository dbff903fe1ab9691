//! Real processes that die, stop and race on one file or in one server.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod child;
mod crashes;
mod kills;
mod pauses;
mod servers;
mod storm;
mod waiters;
