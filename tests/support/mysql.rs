//! MariaDB servers of our own, each on a socket in a folder that vanishes with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use oncely::store::sql::mysql::MySqlStore;
use oncely::store::{BoxFuture, Store};
use oncely::testing::{Clock, Fixture};
use sqlx::{Connection, MySqlConnection};
use tempfile::TempDir;

use crate::server::{Server, as_nobody, folder, program};

/// A `mariadbd` that ends when this is dropped. It listens on no port.
#[derive(Debug)]
pub struct MySqlServer {
    server: Server,
    options: Vec<String>,
    folder: TempDir,
}

impl MySqlServer {
    /// A server that writes to its disk when it should.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A server with further settings.
    pub fn with(settings: &[&str]) -> Self {
        let folder = folder();
        let path = folder.path().display();
        let made = as_nobody(&binary("mariadb-install-db"))
            .args(["--no-defaults", "--auth-root-authentication-method=normal"])
            .args(["--skip-test-db", "--innodb-log-file-size=16M"])
            .arg(format!("--datadir={path}/data"))
            // A server that starts deletes the temporary tables of others that share its folder for them.
            .env("TMPDIR", folder.path())
            .output()
            .expect("mariadb-install-db");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut options = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={path}/data"),
            format!("--socket={path}/mysql.sock"),
            format!("--pid-file={path}/pid"),
            format!("--tmpdir={path}"),
            "--skip-networking".to_owned(),
            "--max-connections=400".to_owned(),
            "--innodb-log-file-size=16M".to_owned(),
        ];
        options.extend(settings.iter().map(|setting| (*setting).to_owned()));
        let server = Server::start(&binary("mariadbd"), &options, folder.path());
        let server = Self { server, options, folder };
        server.wait();
        server
    }

    /// The server that the tests of this process share, which does not write to its disk.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MySqlServer> = OnceLock::new();
        SHARED.get_or_init(|| Self::with(&["--innodb-flush-log-at-trx-commit=0"]))
    }

    /// Where it listens.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        let socket = self.folder.path().join("mysql.sock");
        format!("mysql://root@localhost/{database}?socket={}", socket.display())
    }

    /// The URL of a new database, which nobody else uses.
    pub async fn database(&self) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("d{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let connection = MySqlConnection::connect(&self.url("mysql")).await;
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {name}")));
        made.execute(&mut connection.expect("a connection")).await.expect("a database");
        self.url(&name)
    }

    /// Kills it as a power cut would.
    pub fn crash(&mut self) {
        self.server.kill();
    }

    /// Starts it again, on the same socket and with the same files.
    pub fn start_again(&mut self) {
        let _ = std::fs::remove_file(self.folder.path().join("mysql.sock"));
        self.server = Server::start(&binary("mariadbd"), &self.options, self.folder.path());
        self.wait();
    }

    /// Stops or continues it (`-STOP`, `-CONT`).
    pub fn signal(&self, signal: &str) {
        self.server.signal(signal);
    }

    fn wait(&self) {
        for _ in 0..4_000 {
            if std::os::unix::net::UnixStream::connect(self.folder.path().join("mysql.sock"))
                .is_ok()
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("the server does not answer: {log}");
    }
}

fn binary(name: &str) -> PathBuf {
    program(name, &["/usr/sbin", "/usr/local/sbin"].map(|path| Path::new(path).to_owned()))
}

/// A new database in the shared server, and a clock of all handles.
#[derive(Debug)]
pub struct MySqlFixture {
    url: String,
    clock: Clock,
}

impl MySqlFixture {
    /// A database without tables.
    pub async fn new() -> Self {
        Self { url: MySqlServer::shared().database().await, clock: Clock::default() }
    }

    /// The URL of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The clock of all handles.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A further handle.
    pub async fn open(&self) -> MySqlStore {
        let store = MySqlStore::connect_with_clock(&self.url, self.clock.clone());
        store.await.expect("a store in a new database")
    }
}

impl Fixture for MySqlFixture {
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
