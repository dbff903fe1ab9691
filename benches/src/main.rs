//! What oncely costs, as ratios to something everybody knows.
//!
//! ```text
//! cargo run --release -p oncely-benches -- compile [--json] [--rounds 7] [--functions 500]
//! cargo run --release -p oncely-benches -- http [--json] [--rounds 7]
//! ```

mod compile;
mod http;
mod table;

use anyhow::{Context, Result, bail};

use crate::table::Row;

/// What the command line says.
#[derive(Debug)]
struct Options {
    json: bool,
    rounds: usize,
    functions: usize,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let bench = arguments.next().unwrap_or_default();
    let mut options = Options { json: false, rounds: 7, functions: 500 };
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<usize> {
            let text = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            Ok(text.parse()?)
        };
        match &*argument {
            "--json" => options.json = true,
            "--rounds" => options.rounds = number()?,
            "--functions" => options.functions = number()?,
            _ => bail!("unknown option {argument}"),
        }
    }
    let rows = match &*bench {
        "compile" => compile::run(&options)?,
        "http" => http::run(&options)?,
        other => bail!("unknown benchmark `{other}`: there are `compile` and `http`"),
    };
    match options.json {
        true => rows.iter().for_each(Row::print_json),
        false => table::print(&rows),
    }
    Ok(())
}
