//! What a store does beyond the laws: its files, its errors, its life.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "tests may panic")]

mod faulty_store;
mod lost_answers;
mod mysql_batches;
mod mysql_life;
mod parked;
mod postgres_life;
mod redis_ahead;
mod redis_batches;
mod redis_cluster;
mod redis_life;
mod redis_news;
mod redis_queue;
mod redis_records;
mod redis_rights;
mod redis_steps;
mod redis_tls;
mod redis_wire;
mod sqlite_files;
mod sqlite_life;
mod sqlite_processes;
mod sqlite_rows;
