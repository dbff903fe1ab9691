//! A second server in a process of its own, which can be killed.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::options::Place;
use crate::outside::Moment;

const PATIENCE: Duration = Duration::from_secs(20);

/// Killed when it is dropped, so that no failure leaves it behind.
pub(crate) struct Second {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Second {
    /// Starts this very program once more, to stop for good at a moment of its first call.
    pub(crate) async fn start(place: &Place, stop_at: Option<Moment>) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--second", stop_at.map_or("never", Moment::name)])
            .args(["--store", &place.store])
            .arg("--dir")
            .arg(&place.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the second server does not start")?;
        let output = child.stdout.take().context("the second server has no output")?;
        let output = BufReader::new(output).lines();
        let mut second = Self { child, output, url: String::new() };
        second.url = second.wait_for("listening on ").await?;
        Ok(second)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Resolves when the server has reached the moment at which it stops.
    pub(crate) async fn reaches(&mut self, moment: Moment) -> anyhow::Result<()> {
        self.wait_for(moment.name()).await.map(drop)
    }

    /// Kills the process at once, by SIGKILL where there are signals.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Lets the process come to its end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.context("the second server does not stop")??;
        ensure!(status.success(), "the second server ended with {status}");
        Ok(())
    }

    /// Waits for a line that begins with `start`, and gives the rest of it.
    async fn wait_for(&mut self, start: &str) -> anyhow::Result<String> {
        let line = async {
            while let Some(line) = self.output.next_line().await? {
                if let Some(rest) = line.strip_prefix(start) {
                    return Ok(rest.to_owned());
                }
            }
            bail!("the second server ended before it said `{start}`")
        };
        let line = timeout(PATIENCE, line).await;
        line.with_context(|| format!("the second server never said `{start}`"))?
    }
}
