//! A payment service on oncely: played through against a client, or kept up for `curl`.

mod client;
mod error;
mod http;
mod ledger;
mod options;
mod outside;
mod play;
mod report;
mod second;
mod server;
mod service;

use std::process::ExitCode;

use anyhow::bail;
use tokio::io::{AsyncReadExt, stdin};
use tokio::signal::ctrl_c;

use self::options::{Mode, Options, USAGE};
use self::server::Server;

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    match options.mode {
        Mode::Help => println!("{USAGE}"),
        Mode::Play => tokio::select! {
            played = play::run(options.place()?) => played?,
            stopped = ctrl_c() => {
                stopped?;
                bail!("stopped by ctrl-c");
            }
        },
        Mode::Serve => {
            let place = options.place()?;
            let server = Server::start(&place, None).await?;
            println!("listening on {}\n\n{}", server.url(), server.curl_lines());
            ctrl_c().await?;
            server.stop().await?;
        }
        Mode::Second { stop_at } => {
            let place = options.place()?;
            let server = Server::start(&place, stop_at).await?;
            println!("listening on {}", server.url());
            // The input ends with the process that holds its other end, however that ends.
            stdin().read_to_end(&mut Vec::new()).await?;
            server.stop().await?;
        }
    }
    Ok(())
}
