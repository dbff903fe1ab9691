//! What the key costs a request over a real socket, compared with the same handler without it.
//!
//! Both sides of a row are asked by the same clients in short turns; medians of the requests in a
//! second. A client is a connection that writes ready-made bytes and reads answers, so
//! that nearly all of the time is the service's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use oncely::Coordinator;
use oncely::http::IdempotencyLayer;
use redis::Script;
use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::Options;
use crate::measure::{Compared, Rounds};
use crate::redis::server::Server;
use crate::table::{Goal, Row};

const CLIENTS: usize = 16;
/// Short, so that whatever else the machine does falls on both sides.
const TURN: Duration = Duration::from_millis(150);
const TURNS_IN_A_ROUND: usize = 5;
const BODY: &str = r#"{"order_id":"order-42","amount":1200,"currency":"EUR"}"#;
const ANSWER: &[u8] = br#"{"id":"payment-7","order_id":"order-42","amount":1200,"attempt":1}"#;

/// Replays from memory, and first calls on Redis, as they are wanted.
pub(crate) async fn run(options: &Options) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.want(&["http_replay"]) {
        rows.push(replay(options.rounds).await?);
    }
    if options.want(&["http_first"]) {
        rows.push(first(options.rounds).await?);
    }
    Ok(rows)
}

/// The same request again and again, against a handler that has the bytes at hand.
async fn replay(rounds: usize) -> Result<Row> {
    let plain = Router::new().route("/", post(async |_: Bytes| ANSWER));
    let layer = IdempotencyLayer::new(&Coordinator::connect("memory:").await?, |_| caller());
    let ours = plain.clone().layer(layer);
    let rates = compare(rounds, ours, plain, || "same".to_owned()).await?;
    Ok(Row::compared("http_replay", rates, "req/s", Goal::AtLeast(0.85)))
}

/// A new request each time, against a handler that takes a key and completes it by itself.
async fn first(rounds: usize) -> Result<Row> {
    let server = Server::start().await?;
    let bare = Bare {
        redis: server.connect().await?,
        take: Arc::new(Script::new(TAKE)),
        complete: Arc::new(Script::new(COMPLETE)),
        count: Arc::default(),
    };
    let floor = Router::new().route("/", post(with_scripts)).with_state(bare);
    let layer = IdempotencyLayer::new(&Coordinator::connect(&server.url()).await?, |_| caller());
    let ours = Router::new().route("/", post(async |_: Bytes| ANSWER)).layer(layer);
    let count = Arc::new(AtomicU64::new(0));
    let key = move || format!("first-{}", count.fetch_add(1, Ordering::Relaxed));
    let rates = compare(rounds, ours, floor, key).await?;
    Ok(Row::compared("http_first", rates, "req/s", Goal::AtLeast(0.90)))
}

fn caller() -> String {
    "user-1".to_owned()
}

/// The least that a lease with a fencing token takes: the clock, the record, the counter of tokens.
/// It reads and writes what oncely does for a free key, and understands nothing of it.
const TAKE: &str = "
    redis.call('TIME')
    if redis.call('GET', KEYS[2]) then return {1} end
    redis.call('GET', KEYS[1])
    redis.call('SET', KEYS[1], ARGV[2])
    redis.call('SET', KEYS[2], ARGV[1], 'PX', 86400000)
    return {0, ARGV[2], 1}";

/// The least that an outcome takes: the clock, and whether the record is still one's own.
const COMPLETE: &str = "
    redis.call('TIME')
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0} end
    redis.call('SET', KEYS[1], ARGV[2], 'PX', 86400000)
    return {1}";

/// What a service does by hand: nothing but the two scripts that it cannot do without.
#[derive(Clone)]
struct Bare {
    redis: MultiplexedConnection,
    take: Arc<Script>,
    complete: Arc<Script>,
    count: Arc<AtomicU64>,
}

async fn with_scripts(State(mut bare): State<Bare>, _: Bytes) -> Result<&'static [u8], String> {
    let number = bare.count.fetch_add(1, Ordering::Relaxed);
    let key = format!("bare/call/http/user-1/first-{number}");
    let record = format!("1 p r {number} 1 1764151230000 1764151200000 - f {}", "f".repeat(49));
    let done: redis::RedisResult<()> = async {
        let mut take = bare.take.key("bare/tokens");
        take.key(&key).arg(&record).arg(number);
        take.invoke_async::<()>(&mut bare.redis).await?;
        let mut complete = bare.complete.key(&key);
        complete.arg(&record).arg(ANSWER).invoke_async::<()>(&mut bare.redis).await
    }
    .await;
    done.map(|()| ANSWER).map_err(|error| error.to_string())
}

/// The requests in a second of both services, medians of rounds in turn.
async fn compare(
    rounds: usize,
    ours: Router,
    floor: Router,
    key: impl Fn() -> String + Clone + Send + 'static,
) -> Result<Compared> {
    let [ours, floor] = [serve(ours).await?, serve(floor).await?];
    let mut found = Rounds::new();
    for turn in 0..=rounds * TURNS_IN_A_ROUND {
        let rates = [load(&ours, &key).await?, load(&floor, &key).await?];
        // The first turn warms up.
        if turn > 0 {
            found.add(rates);
        }
    }
    Ok(found.compared(0, 1))
}

async fn serve(router: Router) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

/// Asks for one turn with all clients; how many answers there were in a second.
async fn load(address: &str, key: &(impl Fn() -> String + Clone + Send + 'static)) -> Result<f64> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let key = key.clone();
        clients.spawn(async move {
            let mut answer = vec![0; 4_096];
            let mut answers = 0_u64;
            while began.elapsed() < TURN {
                stream.write_all(request(&key()).as_bytes()).await?;
                read_answer(&mut stream, &mut answer).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(client) = clients.join_next().await {
        answers += client??;
    }
    Ok(answers as f64 / began.elapsed().as_secs_f64())
}

fn request(key: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         idempotency-key: \"{key}\"\r\ncontent-length: {}\r\n\r\n{BODY}",
        BODY.len()
    )
}

/// Reads one answer, which must be the one.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    let mut length = 0;
    loop {
        let read = stream.read(&mut buffer[length..]).await?;
        ensure!(read > 0, "the service hung up");
        length += read;
        let answer = &buffer[..length];
        if answer.ends_with(ANSWER) {
            ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
            return Ok(());
        }
        if length == buffer.len() || answer.starts_with(b"HTTP/1.1 4") {
            bail!("another answer: {}", String::from_utf8_lossy(answer));
        }
    }
}
