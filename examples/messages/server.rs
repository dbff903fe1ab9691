//! A `redis-server` of our own, on a socket in a folder that vanishes with it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    folder: TempDir,
    _process: Child,
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("messages-").tempdir()?;
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning"]);
        command.arg("--dir").arg(folder.path());
        command.arg("--unixsocket").arg(folder.path().join("redis.sock"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().context("`redis-server` on the PATH")?;
        let server = Self { folder, _process: process };
        timeout(PATIENCE, async {
            while server.connect().await.is_err() {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .context("redis-server does not answer")?;
        Ok(server)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("redis.sock").display())
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        Ok(redis::Client::open(self.url())?.get_multiplexed_async_connection().await?)
    }
}
