//! Processes that play a role, and the folder where they meet.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use oncely::Coordinator;
use oncely_tests::processes::{self, EFFECTS};
use oncely_tests::secs;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

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
        processes::connect(self.path()).await
    }

    /// The lines that bodies have written so far.
    pub(crate) fn effects(&self) -> Vec<String> {
        processes::lines(&self.path().join(EFFECTS))
    }
}

/// A process of ours. Killed when dropped.
pub(crate) struct Child {
    process: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a process in the role `role`.
    pub(crate) fn play(role: &str, argument: &str, folder: &Folder) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_role"))
            .arg(role)
            .arg(folder.path())
            .arg(argument)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next thing it says; `None` when it has ended.
    pub(crate) async fn hears(&mut self) -> Option<String> {
        let line = timeout(secs(60), self.lines.next_line()).await.expect("it says nothing");
        line.unwrap()
    }

    /// Waits for its end.
    pub(crate) async fn ends(mut self) -> ExitStatus {
        timeout(secs(60), self.process.wait()).await.expect("it goes on").unwrap()
    }

    /// Ends it as a power cut would: nothing of it runs any more.
    pub(crate) async fn kill(mut self) {
        assert_eq!(self.process.try_wait().unwrap(), None, "it has ended by itself");
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

#[tokio::test]
async fn a_process_without_a_role_says_so() {
    let status = Child::play("sleeps_in", "", &Folder::new()).ends().await;
    assert_eq!(status.code(), Some(2));
}
