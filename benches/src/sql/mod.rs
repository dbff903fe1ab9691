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
use crate::measure::{Compared, Load, Rounds, Step, load, step};
use crate::table::{Goal, Row};

const ROUNDS: usize = 7;
const TIME: Duration = Duration::from_millis(400);
const CROWD: usize = 128;

/// The names of the rows of one database, in the order of [`rows`].
type Names = [&'static str; 8];

/// All rows.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let server = PostgresServer::start();
    let url = server.schema().await;
    let mut all = rows::<Postgres>(
        &url,
        8,
        [
            "pg_tx",
            "pg_tx_cost",
            "pg_first",
            "pg_first_c128",
            "pg_replay",
            "pg_replay_c128",
            "pg_lock",
            "pg_contended",
        ],
    )
    .await?;
    drop(server);
    let server = MySqlServer::start();
    let url = server.database().await;
    all.extend(
        rows::<MySql>(
            &url,
            8,
            [
                "mysql_tx",
                "mysql_tx_cost",
                "mysql_first",
                "mysql_first_c128",
                "mysql_replay",
                "mysql_replay_c128",
                "mysql_lock",
                "mysql_contended",
            ],
        )
        .await?,
    );
    drop(server);
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}/records.db?mode=rwc", folder.path().display());
    all.extend(
        rows::<Sqlite>(
            &url,
            1,
            [
                "sqlite_tx",
                "sqlite_tx_cost",
                "sqlite_first",
                "sqlite_first_c128",
                "sqlite_replay",
                "sqlite_replay_c128",
                "sqlite_lock",
                "sqlite_contended",
            ],
        )
        .await?,
    );
    Ok(all)
}

async fn rows<DB: Hand>(url: &str, writers: usize, names: Names) -> Result<Vec<Row>>
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

    let rate = |load: Load| load.rate;
    let median = |load: Load| load.median;
    let (at_least, at_most) = (Goal::AtLeast, Goal::AtMost);
    Ok(vec![
        Row::compared(
            names[0],
            compared(writers, &tx, &tx_by_hand, rate).await?,
            "/s",
            at_least(0.95),
        ),
        Row::compared(
            names[1],
            compared(writers, &tx, &unprotected, rate).await?,
            "/s",
            at_least(0.70),
        ),
        Row::compared(
            names[2],
            compared(1, &first, &first_by_hand, median).await?,
            "µs",
            at_most(1.10),
        ),
        Row::compared(
            names[3],
            compared(CROWD, &first, &first_by_hand, rate).await?,
            "/s",
            at_least(4.0),
        ),
        Row::compared(names[4], compared(1, &replay, &select, median).await?, "µs", at_most(1.15)),
        Row::compared(
            names[5],
            compared(CROWD, &replay, &select, rate).await?,
            "/s",
            at_least(1.5),
        ),
        Row::compared(
            names[6],
            compared(1, &lock, &lock_by_hand, median).await?,
            "µs",
            at_most(1.5),
        ),
        Row::compared(names[7], contended(&oncely).await?, "/s", at_least(0.90)),
    ])
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
