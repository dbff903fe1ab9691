//! Database servers of our own: programs that refuse to be root, in folders that vanish with them.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A folder that the user of the servers may write. It vanishes when this is dropped.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if is_root() {
        let path = folder.path().to_str().expect("a name");
        assert!(run("chown", &["nobody:nogroup", path]), "chown {path}");
    }
    folder
}

/// A command that is run by a user who is not root.
pub fn as_nobody(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program);
    command.env("HOME", "/nonexistent");
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.trim_ascii() == b"0"
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().expect("a program of every system").success()
}

/// The first of the folders that has the program.
pub fn program(name: &str, folders: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.iter().cloned().chain(std::env::split_paths(&path));
    let mut found = all.map(|folder| folder.join(name)).filter(|path| path.is_file());
    found.next().unwrap_or_else(|| panic!("no `{name}` here; `tests/run` installs it"))
}

/// A server that ends when this is dropped, and when the test's process does, however that ends: a
/// shell waits for the end of a pipe, and then kills the server and deletes its folder.
#[derive(Debug)]
pub struct Server {
    guard: Child,
    process: u32,
}

impl Server {
    /// Starts `program`, whose files are in `folder`.
    pub fn start(program: &Path, arguments: &[String], folder: &Path) -> Self {
        const GUARD: &str = r#"folder=$1; shift
            "$@" </dev/null >"$folder/log" 2>&1 &
            echo $!
            read word
            kill -QUIT $! 2>/dev/null; sleep 0.2; kill -KILL $! 2>/dev/null; wait $!
            [ "$word" = stop ] || rm -rf "$folder""#;
        let mut guard = as_nobody(Path::new("sh"))
            .args(["-c", GUARD, "guard"])
            .arg(folder)
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It would say whom it has killed.
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let said = guard.stdout.take().expect("its output");
        BufReader::new(said).read_line(&mut line).expect("the number of the server's process");
        let process = line.trim().parse().expect("a number");
        Self { guard, process }
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: &str) {
        assert!(run("kill", &[signal, &self.process.to_string()]), "kill {signal}");
    }

    /// Sends a signal to the server and to the processes that it has started.
    pub fn signal_all(&self, signal: &str) {
        self.signal(signal);
        for child in children(self.process) {
            // It may have ended since.
            run("kill", &[signal, &child.to_string()]);
        }
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.end();
    }

    fn end(&mut self) {
        if let Some(mut pipe) = self.guard.stdin.take() {
            // The folder is somebody's, who may start the server again.
            let _ = pipe.write_all(b"stop\n");
        }
        let _ = self.guard.wait();
    }
}

/// The processes that `parent` has started, by what stands behind the name of each.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("the processes").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |number: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        let behind = stat.rsplit_once(')').map(|(_, behind)| behind);
        behind.and_then(|behind| behind.split_whitespace().nth(1)) == Some(&parent.to_string())
    };
    numbers.filter(is_child).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
