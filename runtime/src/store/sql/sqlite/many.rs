//! The work of a batch that needs no decision, in few messages: several statements in one cost one
//! way to the connection's thread and back.

use std::sync::LazyLock;

use futures_util::StreamExt as _;
use sqlx::{Either, Executor as _, SqliteConnection};

use super::error::Failure;
use super::one::{self, Asked};
use crate::store::{Lease, LeaseRequest, Update};

/// So many statements go into one message at most; a power of two.
const MOST: usize = 64;

/// A statement, and its repetitions: twice, four times and so on. The connection remembers each.
type Repeated = LazyLock<Vec<String>>;
static CLAIMS: Repeated = LazyLock::new(|| repeated(one::CLAIM));
static UPDATES: Repeated = LazyLock::new(|| repeated(one::UPDATE));

fn repeated(statement: &str) -> Vec<String> {
    (0..=MOST.ilog2()).map(|power| statement.repeat(1 << power)).collect()
}

/// Takes the keys that have no record or were given back, at the time `micros`; none for the others.
/// Inside a transaction that holds the write lock, and that must be rolled back if this fails.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    requests: &[&LeaseRequest],
    micros: i64,
) -> Result<Vec<Option<Lease>>, Failure> {
    let records = requests.iter().map(|request| one::taken(request, micros)).collect();
    let Some(records): Option<Vec<_>> = records else { return Ok(vec![None; requests.len()]) };
    let asked: Vec<_> = requests.iter().copied().zip(&records).collect();
    let written = send(connection, &CLAIMS, 10, &asked, |query, (request, record)| {
        one::bind_record(one::bind_token(query, request, micros), record)
    });
    let leases = written.await?.into_iter().zip(asked);
    let leases =
        leases.map(|(rows, (request, record))| (rows == 1).then(|| record.lease(&request.key)));
    Ok(leases.collect())
}

/// Which of the updates were applied, in their order. As [`claim`].
pub(super) async fn update(
    connection: &mut SqliteConnection,
    updates: &[&(Lease, Update)],
    now: i64,
) -> Result<Vec<bool>, Failure> {
    let written = send(connection, &UPDATES, 9, updates, |query, update| {
        one::bind_update(query, update, now)
    });
    Ok(written.await?.into_iter().map(|rows| rows == 1).collect())
}

/// How many rows each statement wrote, in their order.
async fn send<'a, T>(
    connection: &mut SqliteConnection,
    statements: &'static Repeated,
    values: usize,
    mut items: &'a [T],
    bind: impl Fn(Asked<'a>, &'a T) -> Asked<'a>,
) -> Result<Vec<u64>, Failure> {
    let mut written = Vec::with_capacity(items.len());
    while !items.is_empty() {
        let power = items.len().min(MOST).ilog2();
        let (now, later) = items.split_at(1 << power);
        let Some(text) = statements.get(power as usize) else { break };
        let query = now.iter().fold(one::query(text.as_str(), values << power), &bind);
        let mut results = connection.fetch_many(query);
        while let Some(result) = results.next().await {
            if let Either::Left(done) = result? {
                written.push(done.rows_affected());
            }
        }
        drop(results);
        items = later;
    }
    Ok(written)
}
