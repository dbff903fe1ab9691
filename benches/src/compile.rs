//! What an attribute adds to the time of `cargo check`, compared with `#[tracing::instrument]`.
//!
//! Crates with the same functions under another attribute each are checked in turn, round after
//! round, so that whatever else the machine does falls on all of them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::Options;
use crate::measure::median;
use crate::table::{Goal, Row};

/// A crate's name, and what stands above each of its functions.
const VARIANTS: [(&str, &str); 5] = [
    ("plain", ""),
    ("instrument", "#[tracing::instrument]"),
    ("idempotent", "#[oncely::idempotent(key = \"order:<order>\")]"),
    ("with-lock", "#[oncely::with_lock(key = \"order:<order>\")]"),
    (
        "both",
        "#[oncely::idempotent(key = \"order:<order>\")]\n\
         #[oncely::with_lock(key = \"customer:<customer>\")]",
    ),
];

/// Checks all variants, `rounds` times, and compares the medians.
pub(crate) fn run(options: &Options) -> Result<Vec<Row>> {
    let folder = root().join("target/benches/compile");
    write_workspace(&folder, options.functions)?;
    for (name, _) in VARIANTS {
        check(&folder, name).context("the first check, which also builds the dependencies")?;
    }
    let mut seconds = vec![Vec::new(); VARIANTS.len()];
    for round in 0..options.rounds {
        for (index, (name, _)) in VARIANTS.iter().enumerate() {
            let took = check(&folder, name)?;
            eprintln!("round {}: {name} {took:.2} s", round + 1);
            seconds[index].push(took);
        }
    }
    let medians: Vec<f64> = seconds.into_iter().map(median).collect();
    let [plain, instrument, idempotent, lock, both] = medians[..] else {
        unreachable!("one median for each variant");
    };
    let row = |name, ours: f64| {
        let most = Goal::AtMost(1.3);
        Row::compared(name, [ours - plain, instrument - plain], "s", most)
    };
    Ok(vec![row("compile", idempotent), row("compile with_lock", lock), row("compile both", both)])
}

/// How long one check of one crate takes, its dependencies aside.
fn check(folder: &Path, name: &str) -> Result<f64> {
    let source = folder.join(name).join("src/lib.rs");
    fs::write(&source, fs::read(&source)?)?;
    let mut command = Command::new(env!("CARGO"));
    command.args(["check", "--quiet", "--package", name]).current_dir(folder);
    // What a change costs is another question; here each check starts anew.
    command.env("CARGO_INCREMENTAL", "0").env_remove("RUSTFLAGS");
    let start = Instant::now();
    ensure!(command.status()?.success(), "`cargo check` of {name} failed");
    Ok(start.elapsed().as_secs_f64())
}

fn write_workspace(folder: &Path, functions: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    let members: Vec<&str> = VARIANTS.iter().map(|(name, _)| *name).collect();
    let manifest = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n");
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    for (name, attribute) in VARIANTS {
        fs::create_dir_all(folder.join(name).join("src"))?;
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\noncely = {{ path = {:?} }}\ntokio = {{ version = \"1\" }}\n\
             tracing = {{ version = \"0.1\", features = [\"attributes\"] }}\n",
            root().join("runtime")
        );
        fs::write(folder.join(name).join("Cargo.toml"), manifest)?;
        fs::write(folder.join(name).join("src/lib.rs"), source(attribute, functions)?)?;
    }
    Ok(())
}

/// Functions such as a service has: a few arguments, an early return, two awaits.
fn source(attribute: &str, functions: usize) -> Result<String> {
    let mut source = String::from("//! Generated.\n\n");
    for number in 0..functions {
        write!(
            source,
            r#"
{attribute}
pub async fn pay_{number}(order: u64, customer: &str, cents: u64) -> Result<String, oncely::Error> {{
    if cents == 0 {{
        return Ok(String::new());
    }}
    tokio::task::yield_now().await;
    let receipt = charge_{number}(customer, cents + order).await?;
    Ok(format!("{{receipt}} for {{order}}"))
}}

async fn charge_{number}(customer: &str, cents: u64) -> Result<String, oncely::Error> {{
    Ok(format!("{{customer}} pays {{cents}}"))
}}
"#
        )?;
    }
    Ok(source)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .components()
        .as_path()
        .parent()
        .map_or_else(PathBuf::new, Path::to_owned)
}
