//! The `Idempotency-Key` header over real sockets.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod answers;
mod callers;
mod client;
mod crowds;
mod disconnects;
mod draft;
mod handlers;
mod problems;
mod retries;
mod service;
