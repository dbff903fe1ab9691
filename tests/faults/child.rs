//! A process of this very binary that plays one of the roles.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use oncely::Coordinator;
use oncely_tests::secs;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

/// Marks what a role says among the lines of the test harness.
const MARK: &str = "@@ ";
const FOLDER: &str = "ONCELY_FAULTS_FOLDER";
const ARGUMENT: &str = "ONCELY_FAULTS_ARGUMENT";

/// Where processes meet: a store, and whatever their bodies write.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) async fn coordinator(&self) -> Coordinator {
        connect(self.path()).await
    }

    /// The lines that bodies have written so far.
    pub(crate) fn effects(&self) -> Vec<String> {
        let effects = std::fs::read_to_string(self.path().join("effects")).unwrap_or_default();
        effects.lines().map(str::to_owned).collect()
    }
}

pub(crate) async fn connect(folder: &Path) -> Coordinator {
    let url = format!("sqlite://{}", folder.join("records.db").display());
    Coordinator::connect(&url).await.unwrap()
}

/// For a role: where it plays and with which argument, if it does.
pub(crate) fn cue() -> Option<(PathBuf, String)> {
    Some((std::env::var_os(FOLDER)?.into(), std::env::var(ARGUMENT).ok()?))
}

/// For a role: tells the test.
pub(crate) fn say(what: impl std::fmt::Display) {
    println!("\n{MARK}{what}");
}

/// A process of ours. Killed when dropped.
pub(crate) struct Child {
    process: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this binary in the role `role`.
    pub(crate) fn play(role: &str, argument: &str, folder: &Folder) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("roles::{role}"), "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(ARGUMENT, argument)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next thing it says; `None` when it has ended.
    pub(crate) async fn hears(&mut self) -> Option<String> {
        loop {
            let line = timeout(secs(60), self.lines.next_line()).await.expect("it says nothing");
            if let Some(said) = line.unwrap()?.strip_prefix(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    /// Ends it as a power cut would: nothing of it runs any more.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Takes it off the processor.
    pub(crate) async fn pause(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on.
    pub(crate) async fn go_on(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let process = self.process.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &process]).status().await.unwrap();
        assert!(sent.success());
    }
}
