//! PostgreSQL servers of our own, each on a socket in a folder that vanishes with it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use oncely::store::sql::postgres::PostgresStore;
use oncely::store::{BoxFuture, Store};
use oncely::testing::{Clock, Fixture};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::server::{Server, as_nobody, folder, program};

/// A `postgres` that ends when this is dropped. It listens on no port.
#[derive(Debug)]
pub struct PostgresServer {
    server: Server,
    options: Vec<String>,
    folder: TempDir,
}

impl PostgresServer {
    /// A server that writes to its disk when it should.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server with further settings.
    pub fn with(settings: &[&str]) -> Self {
        let folder = folder();
        let made = as_nobody(&binary("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=oncely", "--encoding=UTF8"])
            .args(["--no-locale", "--pgdata"])
            .arg(folder.path().join("data"))
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = folder.path().display();
        let mut options = vec!["-D".to_owned(), format!("{path}/data"), "-k".to_owned()];
        options.push(path.to_string());
        let fixed = ["listen_addresses=", "max_connections=200", "shared_buffers=64MB"];
        for setting in fixed.iter().chain(settings) {
            options.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        let server = Server::start(&binary("postgres"), &options, folder.path());
        let server = Self { server, options, folder };
        server.wait();
        server
    }

    /// The server that the tests of this process share, which does not write to its disk.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::with(&["fsync=off", "full_page_writes=off"]))
    }

    /// The URL of the database that is there.
    pub fn url(&self) -> String {
        url(self.folder.path())
    }

    /// Where it listens.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of a new schema, which nobody else uses.
    pub async fn schema(&self) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("s{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&self.url()).await.expect("a connection");
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create schema {name}")));
        made.execute(&mut connection).await.expect("a schema");
        format!("{}&options[search_path]={name}", self.url())
    }

    /// Ends every process of it at once, as a power cut would.
    pub fn crash(&mut self) {
        self.server.signal("-QUIT");
        while self.folder.path().join("data/postmaster.pid").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again, on the same socket and with the same files.
    pub fn start_again(&mut self) {
        self.server = Server::start(&binary("postgres"), &self.options, self.folder.path());
        self.wait();
    }

    /// Stops or continues it (`-STOP`, `-CONT`), with the processes that serve its clients.
    pub fn signal(&self, signal: &str) {
        self.server.signal_all(signal);
    }

    fn wait(&self) {
        let url = format!("host={} user=oncely dbname=postgres", self.folder.path().display());
        for _ in 0..4_000 {
            let mut ready = Command::new(binary("pg_isready"));
            if ready.args(["-q", "-d", &url]).status().expect("pg_isready").success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("the server does not answer: {log}");
    }
}

fn url(folder: &Path) -> String {
    format!("postgres://oncely@localhost/postgres?host={}", folder.display())
}

/// A program of the newest version that is installed; Debian puts them out of the way.
fn binary(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    program(name, &folders)
}

/// A new schema in the shared server, and a clock of all handles.
#[derive(Debug)]
pub struct PostgresFixture {
    url: String,
    clock: Clock,
}

impl PostgresFixture {
    /// A schema without tables.
    pub async fn new() -> Self {
        Self { url: PostgresServer::shared().schema().await, clock: Clock::default() }
    }

    /// The URL of the schema.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The clock of all handles.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A further handle.
    pub async fn open(&self) -> PostgresStore {
        let store = PostgresStore::connect_with_clock(&self.url, self.clock.clone());
        store.await.expect("a store in a new schema")
    }
}

impl Fixture for PostgresFixture {
    fn store(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async { Arc::new(self.open().await) as Arc<dyn Store> })
    }

    fn step_clock_back(&self, by: Duration) -> bool {
        self.clock.step_back(by);
        true
    }

    fn purge(&self) -> BoxFuture<'_, ()> {
        // Every record that may ever be purged is due after two days; those that are completed for
        // longer, or in progress for longer, stay.
        const LATER: Duration = Duration::from_secs(2 * 24 * 3600);
        Box::pin(async {
            let store = self.open().await;
            self.clock.step_forward(LATER);
            let purged = store.purge().await;
            self.clock.step_back(LATER);
            purged.expect("a purge");
        })
    }
}
