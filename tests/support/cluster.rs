//! Redis Clusters of our own: three servers on free ports of the loopback, which end with us.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use oncely::store::redis::RedisStore;
use oncely::store::{BoxFuture, Store};
use oncely::testing::{Clock, Fixture};
use parking_lot::Mutex;
use redis::{FromRedisValue, RedisResult, Value};

use crate::redis::purge;
use crate::tls::Authority;

const NODES: usize = 3;
const SLOTS: usize = 16_384;
const PATIENCE: Duration = Duration::from_secs(30);
/// The port on which servers speak to each other, counted from the one for clients.
const BUS: u16 = 10_000;
/// The port for clients with TLS, counted likewise.
const TLS: u16 = 1;

/// One server of a cluster.
#[derive(Debug)]
struct Node {
    port: u16,
    /// The name by which the others know it.
    id: String,
    /// The id of its process, which is a child of the shell.
    server: String,
    process: Child,
}

/// A cluster of three servers, each with a third of the slots, all of which it serves as long as
/// their own server is there.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Node>,
}

impl RedisCluster {
    /// A new one, which keeps nothing on the disk.
    pub fn start() -> Self {
        Self::with(|_| Vec::new(), 0)
    }

    /// The same, whose servers also speak TLS.
    pub fn start_with_tls(authority: &Authority) -> Self {
        let (certificate, key) = authority.certify("127.0.0.1");
        let files = [("cert", certificate), ("key", key), ("ca-cert", authority.file())];
        let start = |port: u16| {
            let mut options = vec!["--tls-port".to_owned(), (port + TLS).to_string()];
            // Servers that speak TLS to each other tell clients where they can.
            let choices = ["--tls-auth-clients", "no", "--tls-cluster", "yes"];
            options.extend(choices.map(str::to_owned));
            for (kind, file) in &files {
                options.extend([format!("--tls-{kind}-file"), file.display().to_string()]);
            }
            options
        };
        Self::with(start, TLS)
    }

    /// `meet` is how far the port by which servers know each other is from that for clients.
    fn with(options: impl Fn(u16) -> Vec<String>, meet: u16) -> Self {
        let nodes = (0..NODES).map(|_| Node::start(&options)).collect();
        let cluster = Self { nodes };
        let [first, ..] = &cluster.nodes[..] else { unreachable!("there are three") };
        for (index, node) in cluster.nodes.iter().enumerate() {
            let slots = (index * SLOTS / NODES)..((index + 1) * SLOTS / NODES);
            let slots: Vec<_> = slots.map(|slot| slot.to_string()).collect();
            let mut command = vec!["CLUSTER", "ADDSLOTS"];
            command.extend(slots.iter().map(String::as_str));
            node.ask::<()>(&command);
            let epoch = (index + 1).to_string();
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]);
            node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &(first.port + meet).to_string()]);
        }
        cluster.wait();
        cluster
    }

    /// The URL of a store in it, which names one of the servers.
    pub fn url(&self) -> String {
        self.url_from(0)
    }

    /// The same, which names the server of this index.
    pub fn url_from(&self, index: usize) -> String {
        format!("redis+cluster://127.0.0.1:{}", self.nodes[index].port)
    }

    /// The URL of a store in it with TLS, for those who trust `authority`.
    pub fn tls_url(&self, authority: &Authority) -> String {
        let port = self.nodes[0].port + TLS;
        format!("rediss+cluster://127.0.0.1:{port}?ca={}", authority.file().display())
    }

    /// The URL of one server alone.
    pub fn node_url(&self, index: usize) -> String {
        format!("redis://127.0.0.1:{}", self.nodes[index].port)
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> usize {
        self.ask(0, &["CLUSTER", "KEYSLOT", key])
    }

    /// The server that has had the slot of a key from the beginning.
    pub fn owner(&self, key: &str) -> usize {
        let slot = self.slot(key);
        (0..NODES).find(|index| slot < (index + 1) * SLOTS / NODES).expect("a slot")
    }

    /// The answer of one server to one command.
    pub fn ask<T: FromRedisValue>(&self, index: usize, command: &[&str]) -> T {
        self.nodes[index].ask(command)
    }

    /// The port of a server.
    pub fn port(&self, index: usize) -> u16 {
        self.nodes[index].port
    }

    /// Adds a server that copies another, and takes over when that one dies.
    pub fn add_replica(&mut self, of: usize) {
        let node = Node::start(&|_| Vec::new());
        node.ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &self.nodes[0].port.to_string()]);
        let started = Instant::now();
        while ask::<()>(node.port, &["CLUSTER", "REPLICATE", &self.nodes[of].id]).is_err() {
            assert!(started.elapsed() < PATIENCE, "the servers do not meet");
            sleep(Duration::from_millis(20));
        }
        while !node.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up")
            || !self.nodes.iter().all(|other| {
                other
                    .ask::<String>(&["CLUSTER", "NODES"])
                    .contains(&format!("slave {}", self.nodes[of].id))
            })
        {
            assert!(started.elapsed() < PATIENCE, "nothing is copied");
            sleep(Duration::from_millis(20));
        }
        self.nodes.push(node);
    }

    /// Brings the keys of a slot from one server to another, which is not yet said to have it.
    pub fn begin_move(&self, slot: usize, from: usize, to: usize) {
        let slot = slot.to_string();
        self.ask::<()>(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.nodes[from].id]);
        self.ask::<()>(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.nodes[to].id]);
        let keys: Vec<String> = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]);
        let port = self.nodes[to].port.to_string();
        let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
        command.extend(keys.iter().map(String::as_str));
        self.ask::<()>(from, &command);
    }

    /// Says that a slot has arrived.
    pub fn end_move(&self, slot: usize, to: usize) {
        // Where it arrived first, or it might be said to have gone back.
        for index in [to].into_iter().chain((0..NODES).filter(|index| *index != to)) {
            let node = ["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &self.nodes[to].id];
            self.ask::<()>(index, &node);
        }
    }

    /// Kills one server as a power cut would.
    pub fn kill(&self, index: usize) {
        self.signal(index, "-KILL");
    }

    /// Stops one server where it is.
    pub fn pause(&self, index: usize) {
        self.signal(index, "-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self, index: usize) {
        self.signal(index, "-CONT");
    }

    fn signal(&self, index: usize, signal: &str) {
        let server = &self.nodes[index].server;
        let done = Command::new("kill").args([signal, server]).status().expect("kill");
        assert!(done.success(), "kill {signal} {server}");
    }

    /// Deletes everything, scripts and rights apart.
    pub fn clear(&self) {
        for node in &self.nodes {
            node.ask::<()>(&["FLUSHALL"]);
        }
    }

    fn wait(&self) {
        let started = Instant::now();
        let joined = |node: &Node| {
            let info: String = node.ask(&["CLUSTER", "INFO"]);
            let slots: Vec<Value> = node.ask(&["CLUSTER", "SLOTS"]);
            info.contains("cluster_state:ok") && slots.len() == NODES
        };
        while !self.nodes.iter().all(joined) {
            assert!(started.elapsed() < PATIENCE, "the servers make no cluster");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Node {
    fn start(options: &impl Fn(u16) -> Vec<String>) -> Self {
        // Somebody else may take the port between our look and the server's.
        (0..5).find_map(|_| Self::try_start(options)).expect("a server on a free port")
    }

    fn try_start(options: &impl Fn(u16) -> Vec<String>) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let port = free_port();
        let mut process = Command::new("sh")
            .args(["-c", WITH_US, "redis-server", "--port", &port.to_string()])
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"])
            .args(["--cluster-require-full-coverage", "no", "--loglevel", "warning", "--dir"])
            .arg(&folder)
            .args(options(port))
            .env("FOLDER", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut server = String::new();
        let output = process.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut server).expect("the id of the server");
        let mut node = Self { port, id: String::new(), server: server.trim().to_owned(), process };
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) {
            let info = ask::<String>(port, &["INFO", "server"]).unwrap_or_default();
            if info.contains(&format!("process_id:{}\r", node.server)) {
                node.id = node.ask(&["CLUSTER", "MYID"]);
                return Some(node);
            }
            sleep(Duration::from_millis(5));
        }
        None
    }

    fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        ask(self.port, command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// A server that ends with this process, however that ends: the shell waits for the end of its
/// input, which closes with us.
const WITH_US: &str = r#"
    redis-server "$@" >/dev/null &
    echo $!
    cat >/dev/null
    kill -9 $! 2>/dev/null
    rm -rf "$FOLDER"
"#;

fn ask<T: FromRedisValue>(port: u16, command: &[&str]) -> RedisResult<T> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut asked = redis::Cmd::new();
    asked.arg(command);
    asked.query(&mut client.get_connection()?)
}

/// A port that nobody listens on now, and neither on the one that servers use beside it. Below
/// those that the system gives to whoever asks for any.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(12_000..32_000);
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if [0, TLS, BUS, BUS + TLS].into_iter().all(|offset| free(port + offset)) {
            return port;
        }
    }
}

/// Clusters that nobody uses now: it takes seconds to make one.
static SPARE: Mutex<VecDeque<RedisCluster>> = Mutex::new(VecDeque::new());

/// A cluster without records, and a clock of all handles.
#[derive(Debug)]
pub struct ClusterFixture {
    cluster: Option<RedisCluster>,
    clock: Clock,
}

impl ClusterFixture {
    /// A new cluster, or one that a test is done with.
    pub fn new() -> Self {
        let spare = SPARE.lock().pop_front();
        let cluster = match spare {
            Some(cluster) => {
                cluster.clear();
                cluster
            }
            None => RedisCluster::start(),
        };
        Self { cluster: Some(cluster), clock: Clock::default() }
    }

    fn cluster(&self) -> &RedisCluster {
        self.cluster.as_ref().expect("until it is dropped")
    }
}

impl Default for ClusterFixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ClusterFixture {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take().filter(|_| !std::thread::panicking()) {
            SPARE.lock().push_back(cluster);
        }
    }
}

impl Fixture for ClusterFixture {
    fn store(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        Box::pin(async {
            let url = self.cluster().url();
            let store = RedisStore::connect_with_clock(&url, self.clock.clone());
            Arc::new(store.await.expect("a store in a new cluster")) as Arc<dyn Store>
        })
    }

    fn step_clock_back(&self, by: Duration) -> bool {
        self.clock.step_back(by);
        true
    }

    fn purge(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            for index in 0..NODES {
                let client = redis::Client::open(self.cluster().node_url(index)).expect("a URL");
                purge(&mut client.get_connection().expect("a connection"));
            }
        })
    }
}
