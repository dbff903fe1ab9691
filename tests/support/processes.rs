//! Where processes meet that play a part in a test: a folder with a store, and what their bodies
//! write.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use oncely::{Coordinator, Idempotent};

use crate::secs;

/// What the process that plays a role is told on its command line, and what it writes.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where it plays.
    pub folder: PathBuf,
    /// What its role makes of this is its own business.
    pub argument: String,
}

impl Part {
    /// A coordinator on the store of the folder.
    pub async fn connect(&self) -> Coordinator {
        connect(&self.folder).await
    }

    /// Tells the test.
    pub fn say(&self, what: impl Display) {
        println!("{what}");
    }

    /// One effect on the world.
    pub fn effect(&self, line: impl Display) {
        append(&self.folder.join(EFFECTS), line);
    }
}

/// The file of the effects.
pub const EFFECTS: &str = "effects";

/// The URL of the store in `folder`.
pub fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("records.db").display())
}

/// A coordinator on the store in `folder`.
pub async fn connect(folder: &Path) -> Coordinator {
    Coordinator::connect(&url(folder)).await.expect("a store in the folder")
}

/// Adds a line, whole or not at all: no crash of this process takes it back.
pub fn append(file: &Path, line: impl Display) {
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file");
    file.write_all(format!("{line}\n").as_bytes()).expect("the line");
}

/// The lines of a file that may not be there yet.
pub fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The call that the tests of crashes and pauses are about.
pub fn pay(oncely: &Coordinator) -> Idempotent {
    oncely.idempotent("pay", "42").lease(secs(2)).wait(secs(30))
}

/// How many processes pass the one lock around, and how often each takes it.
pub mod passing {
    /// Processes.
    pub const PROCESSES: usize = 4;
    /// How often each takes the lock.
    pub const ROUNDS: usize = 25;
}

/// Many calls of few keys, and who makes them.
pub mod storm {
    /// Processes.
    pub const PROCESSES: usize = 2;
    /// Tasks of each process.
    pub const TASKS: usize = 8;
    /// Calls in all.
    pub const CALLS: usize = 1_000;
    /// Keys in all.
    pub const KEYS: usize = 200;

    /// The calls of one worker, each with its key. The calls of a key stand side by side, so that
    /// different workers come to it at the same time.
    pub fn calls_of(worker: usize) -> impl Iterator<Item = (usize, usize)> {
        let calls = (0..CALLS).filter(move |number| number % (PROCESSES * TASKS) == worker);
        calls.map(|number| (number, number * KEYS / CALLS))
    }
}
