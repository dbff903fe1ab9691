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

/// What processes do that are killed at random moments.
pub mod kills {
    use std::fmt;

    use oncely::{Coordinator, Idempotent, OnInterrupted};

    use crate::ms;

    /// The file with the key of each call that was about to begin.
    pub const CALLS: &str = "calls";
    /// The file with the key and the value of each replay.
    pub const REPLAYS: &str = "replays";
    /// The file with the number that two processes count up.
    pub const NUMBER: &str = "number";
    /// The file with what each of them did, step by step.
    pub const STEPS: &str = "steps";

    /// What a body did: a line of the effects.
    #[derive(Clone, Debug)]
    pub struct Effect {
        /// The key of the call.
        pub key: String,
        /// Its token, which is its value too.
        pub token: u64,
        /// Its attempt.
        pub attempt: u32,
    }

    impl Effect {
        /// The effect in this line.
        pub fn parse(line: &str) -> Self {
            let mut words = line.split(' ');
            let mut next = || words.next().unwrap_or_default();
            let (key, token, attempt) = (next().to_owned(), next(), next());
            let number = "a number";
            Self {
                key,
                token: token.parse().expect(number),
                attempt: attempt.parse().expect(number),
            }
        }
    }

    impl fmt::Display for Effect {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} {} {}", self.key, self.token, self.attempt)
        }
    }

    /// The key of a call that one of the lives of a process makes.
    pub fn key(life: usize, number: usize) -> String {
        let choice = if number.is_multiple_of(2) { "rerun" } else { "hold" };
        format!("{choice}-{life}-{number}")
    }

    /// What the next call with this key does after an interruption.
    pub fn choice(key: &str) -> OnInterrupted {
        if key.starts_with("hold") { OnInterrupted::Hold } else { OnInterrupted::Rerun }
    }

    /// A call with this key.
    pub fn call(oncely: &Coordinator, key: &str) -> Idempotent {
        oncely.idempotent("pay", key).lease(ms(500)).on_interrupted(choice(key))
    }
}
