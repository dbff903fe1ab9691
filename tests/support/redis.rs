//! Redis servers of our own, each on a socket in a folder that vanishes with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use oncely::store::redis::RedisStore;
use oncely::store::{BoxFuture, Store};
use oncely::testing::{Clock, Fixture};
use redis::{Cmd, Connection, FromRedisValue, Value};
use tempfile::TempDir;

use crate::tls::{Authority, TlsServer};

/// A `redis-server` that is killed when this is dropped. It listens on no port.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    options: Vec<String>,
    process: Child,
}

impl RedisServer {
    /// A server that keeps nothing on the disk.
    pub fn start() -> Self {
        Self::with(&["--appendonly", "no"])
    }

    /// A server with further options.
    pub fn with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let process = spawn(folder.path(), &options);
        let server = Self { folder, options, process };
        server.wait();
        server
    }

    /// The URL of a store in it.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// A plain connection, to look at what is in the server.
    pub fn connect(&self) -> Connection {
        let client = redis::Client::open(self.url()).expect("a URL");
        client.get_connection().expect("a connection")
    }

    /// The answer to one command, on a connection of its own.
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.command(command).query(&mut self.connect()).expect("an answer")
    }

    fn command(&self, words: &[&str]) -> Cmd {
        let mut command = Cmd::new();
        command.arg(words);
        command
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill().expect("a process of our own");
        self.process.wait().expect("its end");
    }

    /// Starts it again, on the same socket and with the same files.
    pub fn start_again(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        self.process = spawn(self.folder.path(), &self.options);
        self.wait();
    }

    /// Stops it where it is (`SIGSTOP`), as a machine that is overloaded would.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.id().to_string();
        let done = Command::new("kill").args([signal, &process]).status().expect("kill");
        assert!(done.success(), "kill {signal} {process}");
    }

    fn wait(&self) {
        let started = Instant::now();
        loop {
            let client = redis::Client::open(self.url()).expect("a URL");
            let ready = client.get_connection().and_then(|mut connection| {
                redis::cmd("ECHO").arg("ready").query::<Value>(&mut connection)
            });
            match ready {
                Ok(_) => return,
                Err(error) if says_who(&error) => return,
                Err(error) => {
                    assert!(started.elapsed() < Duration::from_secs(20), "no server: {error}");
                    sleep(Duration::from_millis(5));
                }
            }
        }
    }
}

/// A server that asks for a password is there.
fn says_who(error: &redis::RedisError) -> bool {
    error.to_string().contains("NOAUTH") || error.kind() == redis::ErrorKind::AuthenticationFailed
}

fn spawn(folder: &Path, options: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", "0", "--save", "", "--daemonize", "no", "--loglevel", "warning"])
        .arg("--dir")
        .arg(folder)
        .arg("--unixsocket")
        .arg(socket(folder))
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command.spawn().expect("`redis-server` on the PATH; `tests/run` installs it")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A new server, and a clock of all handles.
#[derive(Debug)]
pub struct RedisFixture {
    server: RedisServer,
    url: String,
    clock: Clock,
    /// What the URL names; lives as long as the server.
    _authority: Option<Authority>,
}

impl RedisFixture {
    /// A server without records.
    pub fn new() -> Self {
        let server = RedisServer::start();
        Self { url: server.url(), server, clock: Clock::default(), _authority: None }
    }

    /// The same, reached with TLS.
    pub fn over_tls() -> Self {
        let authority = Authority::new();
        let server = TlsServer::start(&authority, "127.0.0.1", false);
        let url = server.url(&authority);
        let server = server.into_server();
        Self { url, server, clock: Clock::default(), _authority: Some(authority) }
    }
}

impl Default for RedisFixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture for RedisFixture {
    fn store(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async {
            let store = RedisStore::connect_with_clock(&self.url, self.clock.clone());
            Arc::new(store.await.expect("a store in a new server")) as Arc<dyn Store>
        })
    }

    fn step_clock_back(&self, by: Duration) -> bool {
        self.clock.step_back(by);
        true
    }

    fn purge(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { purge(&mut self.server.connect()) })
    }
}

/// Deletes what the server would have deleted by itself in two days.
pub(crate) fn purge(connection: &mut Connection) {
    const LATER: i64 = 2 * 24 * 3600 * 1000;
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(connection).expect("the keys");
    for key in keys {
        let left: i64 = redis::cmd("PTTL").arg(&key).query(connection).expect("a time to live");
        if (0..LATER).contains(&left) {
            redis::cmd("DEL").arg(&key).exec(connection).expect("a deletion");
        }
    }
}
