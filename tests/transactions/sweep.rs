//! A process that is killed at every message of a call with a transaction: before the server hears
//! it, and before the process hears the answer. Effects and records agree every time.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use oncely_tests::payments;
use oncely_tests::{secs, soon};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::database::{Place, mysql, postgres, sqlite};

/// How often a process is killed on each database.
const KILLS: usize = 100;

/// A wire that stops at one message of the client's, and says so.
struct Wire {
    folder: TempDir,
    left: Arc<AtomicI64>,
    stopped: Arc<Notify>,
}

impl Wire {
    /// A wire at a socket of this name to the server at `to`. It stops before a message, or behind it,
    /// until the process is dead.
    fn new(name: &str, to: &Path, behind: bool) -> Self {
        Self::with(name, to, behind, false)
    }

    /// One that is cut there.
    fn cutting(name: &str, to: &Path, behind: bool) -> Self {
        Self::with(name, to, behind, true)
    }

    fn with(name: &str, to: &Path, behind: bool, cuts: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(name)).unwrap();
        let wire =
            Self { folder, left: Arc::new(AtomicI64::new(i64::MAX)), stopped: Arc::default() };
        let (left, stopped) = (Arc::clone(&wire.left), Arc::clone(&wire.stopped));
        let to = to.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&to).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let gone = Arc::new(Notify::new());
                let told = Arc::clone(&gone);
                tokio::spawn(async move {
                    tokio::select! {
                        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                        () = told.notified() => {}
                    }
                });
                let (left, stopped) = (Arc::clone(&left), Arc::clone(&stopped));
                tokio::spawn(async move {
                    let mut buffer = vec![0; 1 << 16];
                    let _gone = Gone(gone, cuts);
                    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                        let stops = left.fetch_sub(1, Ordering::SeqCst) == 0;
                        if stops && !behind {
                            stopped.notify_one();
                            // It hears of the end when the process is dead.
                            while !cuts && let Ok(1..) = from_client.read(&mut buffer).await {}
                            return;
                        }
                        let _ = to_server.write_all(&buffer[..length]).await;
                        if stops {
                            stopped.notify_one();
                            // The server has it, and hears of the end when the process is dead.
                            while !cuts && let Ok(1..) = from_client.read(&mut buffer).await {}
                            if cuts {
                                return;
                            }
                        }
                    }
                });
            }
        });
        wire
    }
}

/// Where a wire is cut, nothing comes back either.
struct Gone(Arc<Notify>, bool);

impl Drop for Gone {
    fn drop(&mut self) {
        if self.1 {
            self.0.notify_one();
        }
    }
}

struct Process {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Process {
    async fn ready(key: &str, url: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_role"))
            .args(["pays_in_a_transaction", "-", &format!("{key} {url}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, lines };
        assert_eq!(process.hears().await.as_deref(), Some("ready"));
        process
    }

    async fn hears(&mut self) -> Option<String> {
        soon(self.lines.next_line()).await.unwrap()
    }

    async fn goes(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").await.unwrap();
    }
}

/// What is there after a process died or finished: all of it or nothing, and the next call knows.
macro_rules! agrees {
    ($place:expr, $key:expr) => {{
        let effects = async || -> i64 {
            let count = format!("select count(*) from effects where name = '{}'", $key);
            let count = sqlx::query_scalar(sqlx::AssertSqlSafe(count));
            count.fetch_one(&$place.pool).await.unwrap()
        };
        let next = payments::pay(&$place.oncely, &$place.pool, &$key).await.unwrap();
        assert_eq!((effects().await, *next.value()), (2, 2), "{}: {next:?}", $key);
        next.is_replayed()
    }};
}

macro_rules! sweep {
    ($place:expr, $wire:expr, $url:expr) => {{
        let (mut kills, mut replayed, mut round) = (0, 0, 0);
        while kills < KILLS {
            for behind in [false, true] {
                let wire: Wire = $wire(behind);
                for message in 0.. {
                    round += 1;
                    let key = format!("k{round}");
                    wire.left.store(i64::MAX, Ordering::SeqCst);
                    let mut process = Process::ready(&key, &$url(&wire)).await;
                    wire.left.store(message, Ordering::SeqCst);
                    process.goes().await;
                    let finished = tokio::select! {
                        () = wire.stopped.notified() => false,
                        line = process.hears() => line.as_deref() == Some("done"),
                    };
                    process.child.kill().await.unwrap();
                    replayed += usize::from(agrees!($place, key));
                    if finished {
                        break;
                    }
                    kills += 1;
                }
            }
        }
        assert!(replayed > 0 && replayed < kills, "{replayed} of {kills} had been committed");
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_process_dies_effects_and_records_agree_in_postgres() {
    let place: Place<sqlx::Postgres> = postgres(2).await;
    let server = oncely_tests::postgres::PostgresServer::shared().folder().to_owned();
    let (from, socket) = (server.display().to_string(), server.join(".s.PGSQL.5432"));
    let wire = |behind| Wire::new(".s.PGSQL.5432", &socket, behind);
    let url = |wire: &Wire| place.url.replace(&from, &wire.folder.path().display().to_string());
    tokio::time::timeout(secs(240), async { sweep!(place, wire, url) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_process_dies_effects_and_records_agree_in_mysql() {
    let place: Place<sqlx::MySql> = mysql(2).await;
    let socket = place.url.split("socket=").nth(1).unwrap().to_owned();
    let wire = |behind| Wire::new("mysql.sock", Path::new(&socket), behind);
    let url = |wire: &Wire| {
        place.url.replace(&socket, &wire.folder.path().join("mysql.sock").display().to_string())
    };
    tokio::time::timeout(secs(240), async { sweep!(place, wire, url) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_a_process_dies_effects_and_records_agree_in_sqlite() {
    let place: Place<sqlx::Sqlite> = sqlite(2).await;
    let mut replayed = 0;
    for round in 0..KILLS {
        let key = format!("k{round}");
        let mut process = Process::ready(&key, &place.url).await;
        process.goes().await;
        // There is no wire to stop: some moment of the few milliseconds that the call takes.
        tokio::time::sleep(std::time::Duration::from_micros(fastrand::u64(0..6_000))).await;
        process.child.kill().await.unwrap();
        replayed += usize::from(agrees!(place, key));
    }
    assert!(replayed < KILLS, "every call was done before it was killed");
}

/// A connection that is lost at every message of a call, and a process that lives on: what the caller
/// hears is what became of it.
macro_rules! cuts {
    ($place:expr, $wire:expr, $url:expr, $database:ty) => {{
        let (mut unknown, mut lost, mut round) = (0, 0, 0);
        for behind in [false, true] {
            let wire: Wire = $wire(behind);
            for message in 0.. {
                round += 1;
                let key = format!("c{round}");
                wire.left.store(i64::MAX, Ordering::SeqCst);
                let pool = payments::pool::<$database>(&$url(&wire), 1).await;
                sqlx::query("select 1").execute(&pool).await.unwrap();
                wire.left.store(message, Ordering::SeqCst);
                let heard = payments::pay(&$place.oncely, &pool, &key).await;
                let was_cut = wire.left.load(Ordering::SeqCst) < 0;
                let count = format!("select count(*) from effects where name = '{key}'");
                let count = sqlx::query_scalar(sqlx::AssertSqlSafe(count));
                let effects: i64 = count.fetch_one(&$place.pool).await.unwrap();
                match heard {
                    Ok(_) => {
                        unknown += usize::from(was_cut);
                        assert_eq!(effects, 2, "{key}: said to be done");
                    }
                    Err(error) => {
                        lost += 1;
                        assert_eq!(effects, 0, "{key}: {error}");
                    }
                }
                assert!(agrees!($place, key) == (effects == 2), "{key}");
                if !was_cut {
                    break;
                }
            }
        }
        assert!(unknown > 0 && lost > 0, "{unknown} commits were looked up, {lost} calls failed");
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_answered_is_looked_up_in_postgres() {
    let place: Place<sqlx::Postgres> = postgres(2).await;
    let server = oncely_tests::postgres::PostgresServer::shared().folder().to_owned();
    let (from, socket) = (server.display().to_string(), server.join(".s.PGSQL.5432"));
    let wire = |behind| Wire::cutting(".s.PGSQL.5432", &socket, behind);
    let url = |wire: &Wire| place.url.replace(&from, &wire.folder.path().display().to_string());
    cuts!(place, wire, url, sqlx::Postgres);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_answered_is_looked_up_in_mysql() {
    let place: Place<sqlx::MySql> = mysql(2).await;
    let socket = place.url.split("socket=").nth(1).unwrap().to_owned();
    let wire = |behind| Wire::cutting("mysql.sock", Path::new(&socket), behind);
    let url = |wire: &Wire| {
        place.url.replace(&socket, &wire.folder.path().join("mysql.sock").display().to_string())
    };
    cuts!(place, wire, url, sqlx::MySql);
}
