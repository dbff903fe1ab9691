//! What oncely costs, as ratios to something everybody knows.
//!
//! ```text
//! cargo run --release -p oncely-benches -- memory [--json]
//! cargo run --release -p oncely-benches -- redis|sql [--json] [--only lock]
//! cargo run --release -p oncely-benches -- compile [--json] [--rounds 7] [--functions 500]
//! cargo run --release -p oncely-benches -- http [--json] [--only http_first] [--rounds 7]
//! ```

mod calls;
mod compile;
mod http;
mod measure;
mod memory;
mod receipt;
mod redis;
mod sql;
mod table;

use anyhow::{Context, Result, bail};

use crate::table::Row;

/// What the command line says.
#[derive(Debug)]
struct Options {
    json: bool,
    rounds: usize,
    functions: usize,
    /// How the rows begin that are wanted; all of them where it is empty.
    only: String,
}

impl Options {
    /// Whether one of `rows`, which are measured together, is wanted.
    fn want(&self, rows: &[&str]) -> bool {
        let is_meant = |row: &&str| row.starts_with(&self.only) || self.only.starts_with(*row);
        rows.iter().any(is_meant)
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let suite = arguments.next().unwrap_or_default();
    if suite == redis::ROLE {
        return redis::play(arguments.collect());
    }
    let mut options = Options { json: false, rounds: 7, functions: 500, only: String::new() };
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<usize> {
            let text = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            Ok(text.parse()?)
        };
        match &*argument {
            "--json" => options.json = true,
            "--rounds" => options.rounds = number()?,
            "--functions" => options.functions = number()?,
            "--only" => options.only = arguments.next().context("--only needs a row")?,
            _ => bail!("unknown option {argument}"),
        }
    }
    let rows = match &*suite {
        "compile" => compile::run(&options)?,
        "memory" => block_on(memory::run())?,
        "redis" => block_on(redis::run(&options))?,
        "sql" => block_on(sql::run(&options))?,
        "http" => block_on(http::run(&options))?,
        other => {
            bail!(
                "unknown suite `{other}`: there are `compile`, `memory`, `redis`, `sql` and `http`"
            )
        }
    };
    match options.json {
        true => rows.iter().for_each(Row::print_json),
        false => table::print(&rows),
    }
    Ok(())
}

/// On a runtime as services have it.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
