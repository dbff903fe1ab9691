//! Calls through SQL databases, beside equal work written by hand.
//!
//! Servers of our own, which write to their disks before they answer. The hands have a table of
//! their own, a pool of eight connections that are not asked whether they are alive, and statements
//! that stay prepared.

mod hand;

use std::time::Duration;

use anyhow::Result;
use oncely::store::sql::Begins;
use oncely::{Coordinator, Error};
use oncely_tests::mysql::MySqlServer;
use oncely_tests::postgres::PostgresServer;
use sqlx::{MySql, Postgres, Sqlite};

use self::hand::{Hand, Pays};
use crate::Options;
use crate::measure::{Compared, Load, Rounds, Step, load, step};
use crate::table::{Goal, Row};

const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(400);
const CROWD: usize = 128;

/// The names of the rows of one database, in the order of [`rows`].
type Names = [&'static str; 8];

const POSTGRES: Names = [
    "pg_tx",
    "pg_tx_cost",
    "pg_first",
    "pg_first_c128",
    "pg_replay",
    "pg_replay_c128",
    "pg_lock",
    "pg_contended",
];
const MYSQL: Names = [
    "mysql_tx",
    "mysql_tx_cost",
    "mysql_first",
    "mysql_first_c128",
    "mysql_replay",
    "mysql_replay_c128",
    "mysql_lock",
    "mysql_contended",
];
const SQLITE: Names = [
    "sqlite_tx",
    "sqlite_tx_cost",
    "sqlite_first",
    "sqlite_first_c128",
    "sqlite_replay",
    "sqlite_replay_c128",
    "sqlite_lock",
    "sqlite_contended",
];

/// The rows of the databases that are wanted.
pub(crate) async fn run(options: &Options) -> Result<Vec<Row>> {
    let mut all = Vec::new();
    if options.want(&POSTGRES) {
        let server = PostgresServer::start();
        all.extend(rows::<Postgres>(&server.schema().await, 8, POSTGRES, options).await?);
    }
    if options.want(&MYSQL) {
        let server = MySqlServer::start();
        all.extend(rows::<MySql>(&server.database().await, 8, MYSQL, options).await?);
    }
    if options.want(&SQLITE) {
        let folder = tempfile::tempdir()?;
        let url = format!("sqlite://{}/records.db?mode=rwc", folder.path().display());
        all.extend(rows::<Sqlite>(&url, 1, SQLITE, options).await?);
    }
    Ok(all)
}

async fn rows<DB: Hand>(
    url: &str,
    writers: usize,
    names: Names,
    options: &Options,
) -> Result<Vec<Row>>
where
    sqlx::Pool<DB>: Begins<Transaction = sqlx::Transaction<'static, DB>>,
    sqlx::Transaction<'static, DB>: Pays,
{
    let oncely = Coordinator::connect(url).await?;
    let pool = DB::pool(url).await?;
    DB::tables(&pool).await?;

    let (ours, hands) = (oncely.clone(), pool.clone());
    let tx = step(move |number| in_tx(ours.clone(), hands.clone(), number));
    let hands = pool.clone();
    let tx_by_hand = step(move |number| DB::business(hands.clone(), Some(number)));
    let hands = pool.clone();
    let unprotected = step(move |_| DB::business(hands.clone(), None));

    let ours = oncely.clone();
    let first = step(move |number| call(ours.clone(), number));
    let hands = pool.clone();
    let first_by_hand = step(move |number| DB::first(hands.clone(), number));

    call(oncely.clone(), u64::MAX).await?;
    DB::first(pool.clone(), i64::MAX as u64).await?;
    let ours = oncely.clone();
    let replay = step(move |_| call(ours.clone(), u64::MAX));
    let hands = pool.clone();
    let select = step(move |_| DB::select(hands.clone(), i64::MAX as u64));

    let ours = oncely.clone();
    let lock = step(move |number| locked(ours.clone(), format!("lock {number}"), Duration::ZERO));
    let hands = pool.clone();
    let lock_by_hand = step(move |number| DB::lock(hands.clone(), number));

    type What = fn(Load) -> f64;
    let rate: What = |load| load.rate;
    let median: What = |load| load.median;
    let (at_least, at_most) = (Goal::AtLeast, Goal::AtMost);
    let plan = [
        (writers, &tx, &tx_by_hand, rate, "/s", at_least(0.95)),
        (writers, &tx, &unprotected, rate, "/s", at_least(0.70)),
        (1, &first, &first_by_hand, median, "µs", at_most(1.10)),
        (CROWD, &first, &first_by_hand, rate, "/s", at_least(4.0)),
        (1, &replay, &select, median, "µs", at_most(1.15)),
        (CROWD, &replay, &select, rate, "/s", at_least(1.5)),
        (1, &lock, &lock_by_hand, median, "µs", at_most(1.5)),
    ];
    let mut found = Vec::new();
    for (name, (tasks, ours, hand, what, unit, goal)) in names.into_iter().zip(plan) {
        if options.want(&[name]) {
            let pair = compared(tasks, ours, hand, what).await?;
            found.push(Row::compared(name, pair, unit, goal));
        }
    }
    if options.want(&names[7..]) {
        found.push(Row::compared(names[7], contended(&oncely).await?, "/s", at_least(0.90)));
    }
    Ok(found)
}

/// Both in turn, so that the weather is the same for both.
async fn compared(
    tasks: usize,
    ours: &Step,
    hand: &Step,
    what: impl Fn(Load) -> f64,
) -> Result<Compared> {
    let mut rounds = Rounds::new();
    load(tasks, TIME, ours).await?;
    load(tasks, TIME, hand).await?;
    for _ in 0..ROUNDS {
        let ours = what(load(tasks, TIME, ours).await?);
        let hand = what(load(tasks, TIME, hand).await?);
        rounds.add([ours, hand]);
    }
    Ok(rounds.compared(0, 1))
}

async fn call(oncely: Coordinator, number: u64) -> Result<()> {
    let call = oncely.idempotent("pay", number.to_string());
    call.run(|_| async { Ok::<_, Error>("receipt".to_owned()) }).await?;
    Ok(())
}

async fn in_tx<DB: Hand>(oncely: Coordinator, pool: sqlx::Pool<DB>, number: u64) -> Result<()>
where
    sqlx::Pool<DB>: Begins<Transaction = sqlx::Transaction<'static, DB>>,
    sqlx::Transaction<'static, DB>: Pays,
{
    let call = oncely.idempotent("pay in tx", number.to_string());
    let paid = call.run_on(&pool, |tx, _| {
        Box::pin(async move {
            tx.pay().await?;
            Ok::<_, anyhow::Error>("receipt".to_owned())
        })
    });
    paid.await?;
    Ok(())
}

async fn locked(oncely: Coordinator, key: String, body: Duration) -> Result<()> {
    let lock = oncely.lock(key).wait(Duration::from_secs(60));
    lock.run(|_| async move {
        if !body.is_zero() {
            tokio::time::sleep(body).await;
        }
        Ok::<_, Error>(())
    })
    .await?;
    Ok(())
}

/// 64 tasks that want one key, with a body of a millisecond, against the bodies one after another.
async fn contended(oncely: &Coordinator) -> Result<Compared> {
    const BODY: Duration = Duration::from_millis(1);
    let ours = oncely.clone();
    let one = step(move |_| locked(ours.clone(), "contended".to_owned(), BODY));
    let alone = step(|_| async {
        tokio::time::sleep(BODY).await;
        Ok(())
    });
    // A sleep is longer than it says, for both.
    let mut rounds = Rounds::new();
    for _ in 0..ROUNDS {
        let ours = load(64, TIME, &one).await?.rate;
        rounds.add([ours, load(1, TIME, &alone).await?.rate]);
    }
    Ok(rounds.compared(0, 1))
}
