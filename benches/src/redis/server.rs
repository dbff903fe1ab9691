//! A Redis server for one run, on a socket in a folder that vanishes with it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

/// A `redis-server` that is stopped when this is dropped. It keeps nothing on the disk.
#[derive(Debug)]
pub(crate) struct Server {
    folder: TempDir,
    process: Child,
}

/// What only scripts run here: everything else in the statistics was sent by a client.
const WITHIN_SCRIPTS: &[&str] = &[
    "time",
    "get",
    "set",
    "setrange",
    "getrange",
    "del",
    "unlink",
    "exists",
    "publish",
    "spublish",
    "pexpire",
    "pexpireat",
    "pttl",
    "expire",
    "hget",
    "hset",
    "hdel",
    "hlen",
    "lpush",
    "rpush",
    "lpop",
    "rpop",
    "llen",
    "lrange",
    "lindex",
    "lrem",
    "zadd",
    "zrem",
    "zrange",
    "zcard",
    "zpopmin",
    "incr",
];
/// What counting itself sends.
const COUNTING: &[&str] = &["info"];

impl Server {
    /// Starts one and waits until it answers.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--loglevel", "warning"])
            .arg("--dir")
            .arg(folder.path())
            .arg("--unixsocket")
            .arg(folder.path().join("redis.sock"))
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let process = command.spawn().context(
            "`redis-server` is not on the PATH: install it (package `redis-server` or `redis`)",
        )?;
        let server = Self { folder, process };
        for _ in 0..1_000 {
            if server.connect().await.is_ok() {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::bail!("the `redis-server` that was started does not answer")
    }

    /// The URL of a store in it.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("redis.sock").display())
    }

    /// A connection as the store has it: RESP3, and no timer for each command.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection> {
        connect(&self.url(), AsyncConnectionConfig::new()).await
    }

    /// How many commands clients have sent so far.
    pub(crate) async fn commands(&self) -> Result<f64> {
        let mut connection = self.connect().await?;
        let stats: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await?;
        let mut sent = 0.0;
        for line in stats.lines() {
            let Some((name, rest)) = line.strip_prefix("cmdstat_").and_then(|l| l.split_once(':'))
            else {
                continue;
            };
            let is_setup = name.starts_with("client") || name == "hello";
            if is_setup || WITHIN_SCRIPTS.contains(&name) || COUNTING.contains(&name) {
                continue;
            }
            let calls = rest.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
            sent += calls.context("statistics of a command")?.parse::<f64>()?;
        }
        Ok(sent)
    }

    /// Forgets all records.
    pub(crate) async fn clear(&self) -> Result<()> {
        Ok(redis::cmd("FLUSHALL").exec_async(&mut self.connect().await?).await?)
    }

    /// How many bytes a key takes.
    pub(crate) async fn memory(&self, key: &str) -> Result<f64> {
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(key);
        let bytes: Option<f64> = usage.query_async(&mut self.connect().await?).await?;
        let bytes = bytes.with_context(|| format!("no record at {key}"))?;
        ensure!(bytes > 0.0, "{key} takes nothing");
        Ok(bytes)
    }
}

/// A connection to `url`.
pub(crate) async fn connect(
    url: &str,
    config: AsyncConnectionConfig,
) -> Result<MultiplexedConnection> {
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let config = config.set_response_timeout(None);
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
