//! What a store does beyond the laws: its files, its errors, its life.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod faulty_store;
mod sqlite_files;
mod sqlite_life;
mod sqlite_processes;
mod sqlite_rows;
