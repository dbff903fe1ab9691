//! What the play prints: a line for each step, and the promises that were broken.

use std::fmt::Display;

use anyhow::bail;

#[derive(Debug, Default)]
pub(crate) struct Report {
    kept: usize,
    broken: Vec<&'static str>,
}

impl Report {
    pub(crate) fn scene(&self, title: &str) {
        println!("\n{title}");
    }

    /// One line: what was sent, what came back, and what really happened.
    pub(crate) fn step(&self, sent: impl Display, came_back: impl Display, happened: impl Display) {
        let (sent, came_back) = (sent.to_string(), came_back.to_string());
        println!("  {sent:<40}  {came_back:<34}  {happened}");
    }

    pub(crate) fn promise(&mut self, promise: &'static str, kept: bool) {
        if kept {
            self.kept += 1;
        } else {
            println!("  BROKEN: {promise}");
            self.broken.push(promise);
        }
    }

    /// Fails with every promise that was broken, and with what kept the play from going on.
    pub(crate) fn finish(self, played: anyhow::Result<()>) -> anyhow::Result<()> {
        if self.broken.is_empty() {
            played?;
            println!("\nall {} promises kept", self.kept);
            return Ok(());
        }
        if let Err(error) = played {
            eprintln!("error: {error:#}");
        }
        bail!("broken promises:\n  - {}", self.broken.join("\n  - "))
    }
}
