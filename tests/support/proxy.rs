//! A wire between a client and a server on sockets, which loses and changes what a test says.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Passes bytes on between whoever connects to [`url`](Self::url) and a server.
#[derive(Debug)]
pub struct Proxy {
    folder: TempDir,
    socket: PathBuf,
    wire: Arc<Mutex<Wire>>,
}

#[derive(Debug, Default)]
struct Wire {
    open: Vec<UnixStream>,
    /// So many answers pass; the one behind them is lost, and its connection with it.
    passing: Option<usize>,
    /// Whether those who come are kept waiting.
    shut: bool,
    /// What is put into answers in place of what; of equal length.
    change: Option<(&'static str, &'static str)>,
    lost: usize,
}

impl Proxy {
    /// A wire to the server that listens at `server`, on a socket of the same name.
    pub fn to(server: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join(server.file_name().expect("the name of a socket"));
        let listener = UnixListener::bind(&socket).expect("a socket");
        let wire = Arc::<Mutex<Wire>>::default();
        let (server, shared) = (server.to_owned(), Arc::clone(&wire));
        thread::spawn(move || {
            for client in listener.incoming() {
                while shared.lock().expect("nobody panics here").shut {
                    thread::sleep(Duration::from_millis(1));
                }
                // Nobody there: the client's side ends, too.
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&server)) else {
                    continue;
                };
                join(&client, &server, &shared);
            }
        });
        Self { folder, socket, wire }
    }

    /// The URL of a store behind it.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Lets the server do what it is asked next, but loses its answer and the connection.
    pub fn lose_next_answer(&self) {
        self.lose_answer_behind(0);
    }

    /// The same with an answer that comes after others, such as what the server says unasked.
    pub fn lose_answer_behind(&self, others: usize) {
        self.wire().passing = Some(others);
    }

    /// How many answers were lost.
    pub fn lost_answers(&self) -> usize {
        self.wire().lost
    }

    /// Writes `new` for `old` in answers.
    pub fn change(&self, old: &'static str, new: &'static str) {
        assert_eq!(old.len(), new.len());
        self.wire().change = Some((old, new));
    }

    /// Keeps whoever connects from now on waiting, until it is opened again.
    pub fn shut(&self) {
        self.wire().shut = true;
    }

    /// Opens it again.
    pub fn open(&self) {
        self.wire().shut = false;
    }

    /// Ends every connection.
    pub fn cut(&self) {
        for stream in self.wire().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().expect("nobody panics here")
    }
}

fn join(client: &UnixStream, server: &UnixStream, wire: &Arc<Mutex<Wire>>) {
    let copy = |stream: &UnixStream| stream.try_clone().expect("a further handle");
    wire.lock().expect("nobody panics here").open.extend([copy(client), copy(server)]);
    let (from, to) = (copy(client), copy(server));
    thread::spawn(move || pass(from, to, |_| true));
    let (from, to, wire) = (copy(server), copy(client), Arc::clone(wire));
    thread::spawn(move || {
        pass(from, to, |bytes| {
            let mut wire = wire.lock().expect("nobody panics here");
            wire.passing = match wire.passing {
                Some(0) => {
                    (wire.passing, wire.lost) = (None, wire.lost + 1);
                    return false;
                }
                passing => passing.map(|others| others - 1),
            };
            if let Some((old, new)) = wire.change {
                let places = bytes.windows(old.len()).position(|text| text == old.as_bytes());
                if let Some(at) = places {
                    bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
                }
            }
            true
        })
    });
}

/// Passes bytes on until one side ends or `look` says so.
fn pass(mut from: UnixStream, mut to: UnixStream, look: impl Fn(&mut [u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..length];
        if !look(bytes) || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
