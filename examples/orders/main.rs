//! A shop's service on oncely: users, orders, and clients that never know whether they were heard.
//!
//! Every write is protected by one layer, per user; one handler says more for itself. The play at
//! the end is what clients do: they send twice, hang up, and try again.

mod client;
mod orders;
mod play;
mod service;
mod users;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match play::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
