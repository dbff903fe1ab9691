//! From the release of a key in one process to the entry of a waiter in another.
//!
//! The parent holds the key while the child comes to wait for it, and gives it back. The child says
//! when it was let in, by the wall clock, which both share.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use oncely::{Coordinator, Error};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, PushKind};
use tokio::io::{BufReader, Lines, Stdin};
use tokio::sync::Notify;

use super::roles::{Actor, PATIENCE};
use super::server::{Server, connect};
use crate::measure::{Rounds, median};
use crate::table::{Goal, Row};

const ROUNDS: usize = 15;
const TIMES: usize = 15;
/// Long enough for a waiter in another process to be certainly waiting.
const SETTLING: Duration = Duration::from_millis(4);
const KEY: &str = "handoff";
const BY_HAND: &str = "floor:handoff";
const QUEUE: &str = "floor:handoff:queue";
const TOKENS: &str = "floor:handoff:tokens";
const TAKE: &str = "
    if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 30000) then return false end
    return redis.call('INCR', KEYS[2])";
const WAIT: &str = "return redis.call('RPUSH', KEYS[1], ARGV[1])";
const RELEASE: &str = "
    if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
    redis.call('DEL', KEYS[1])
    repeat
      local waiter = redis.call('LPOP', KEYS[2])
    until not waiter or redis.call('PUBLISH', waiter, '') > 0
    return 1";

/// All rows.
pub(super) async fn rows(server: &Server) -> Result<Vec<Row>> {
    let url = server.url();
    let oncely = Coordinator::connect(&url).await?;
    let by_hand = ByHand::connect(&url).await?;
    let peer = async_redis_lock::Locker::from_redis_url(&url).await?;
    let mut ours = Actor::start(&["handoff", "oncely", &url]).await?;
    let mut floor = Actor::start(&["handoff", "floor", &url]).await?;
    let mut polling = Actor::start(&["handoff", "async-redis-lock", &url]).await?;
    let mut rounds = Rounds::new();
    for _ in 0..ROUNDS {
        let took = times(
            TIMES,
            &mut ours,
            async || Ok(oncely.lock(KEY).acquire().await?),
            async |g| Ok(oncely::LockGuard::release(g).await?),
        );
        let took = took.await?;
        let least = times(
            TIMES,
            &mut floor,
            async || by_hand.take().await,
            async |()| by_hand.release().await,
        );
        let least = least.await?;
        let polled = times(
            1,
            &mut polling,
            async || Ok(peer.acquire(KEY).await?),
            async |lock| Ok(async_redis_lock::Lock::release(lock).await?),
        );
        rounds.add([took, least, polled.await?]);
    }
    for actor in [ours, floor, polling] {
        actor.end().await?;
    }
    Ok(vec![
        Row::compared("handoff", rounds.compared(0, 1), "µs", Goal::AtMost(1.2)),
        Row::compared("handoff_async_redis_lock", rounds.compared(2, 1), "µs", Goal::None),
    ])
}

/// The median time of so many hand-offs to `waiter`, in µs.
async fn times<G>(
    times: usize,
    waiter: &mut Actor,
    take: impl AsyncFn() -> Result<G>,
    release: impl AsyncFn(G) -> Result<()>,
) -> Result<f64> {
    let mut took = Vec::new();
    for _ in 0..times {
        let held = take().await?;
        waiter.tell("wait").await?;
        tokio::time::sleep(SETTLING).await;
        let released = now();
        release(held).await?;
        let entered: u128 = waiter.answer().await?.parse()?;
        took.push(entered.saturating_sub(released) as f64 / 1e3);
    }
    Ok(median(took))
}

/// The waiter's side.
pub(super) async fn play(who: &str, url: &str, lines: Lines<BufReader<Stdin>>) -> Result<()> {
    match who {
        "oncely" => {
            let oncely = Coordinator::connect(url).await?;
            enter(lines, async || {
                let entered =
                    oncely.lock(KEY).wait(PATIENCE).run(|_| async { Ok::<_, Error>(now()) });
                Ok(entered.await?)
            })
            .await
        }
        "floor" => {
            let by_hand = ByHand::connect(url).await?;
            enter(lines, async || {
                by_hand.wait().await?;
                let entered = now();
                by_hand.release().await?;
                Ok(entered)
            })
            .await
        }
        "async-redis-lock" => {
            let locker = async_redis_lock::Locker::from_redis_url(url).await?;
            enter(lines, async || {
                let lock = locker.acquire(KEY).await?;
                let entered = now();
                lock.release().await?;
                Ok(entered)
            })
            .await
        }
        other => bail!("nobody is called {other}"),
    }
}

/// Waits for the key whenever told so, and says when it was let in. The key is free again then.
async fn enter(
    mut lines: Lines<BufReader<Stdin>>,
    wait: impl AsyncFn() -> Result<u128>,
) -> Result<()> {
    println!("ready");
    while lines.next_line().await?.is_some() {
        println!("{}", wait().await?);
    }
    Ok(())
}

/// Nanoseconds since 1970.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

/// Wake-one, written by hand: the release publishes to the first who waits, who hears it and takes.
///
/// It has what nobody can leave out. Each process waits on a channel of its own, in a list: one
/// channel for all would wake them all. A waiter that is gone is passed over. The holder has a
/// fencing token, and its key expires. There is nobody who hands the key on within a process, renews
/// it, or gives a place up.
struct ByHand {
    connection: MultiplexedConnection,
    handed: Arc<Notify>,
    take: String,
    wait: String,
    release: String,
    token: String,
    channel: String,
}

impl ByHand {
    async fn connect(url: &str) -> Result<Self> {
        let handed = Arc::new(Notify::new());
        let heard = Arc::clone(&handed);
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Message {
                heard.notify_one();
            }
            Ok::<(), ()>(())
        });
        let mut connection = connect(url, config).await?;
        let mut names = Vec::new();
        for text in [TAKE, WAIT, RELEASE] {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(text);
            names.push(load.query_async(&mut connection).await?);
        }
        let release = names.pop().context("a script")?;
        let wait = names.pop().context("a script")?;
        let take = names.pop().context("a script")?;
        let token = std::process::id().to_string();
        let channel = format!("handed:{token}");
        Ok(Self { connection, handed, take, wait, release, token, channel })
    }

    async fn try_take(&self) -> Result<bool> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.take).arg(2).arg(BY_HAND).arg(TOKENS).arg(&self.token);
        let taken: Option<u64> = call.query_async(&mut self.connection.clone()).await?;
        Ok(taken.is_some())
    }

    async fn take(&self) -> Result<()> {
        // The child has said when it was let in, and gives the key back only then.
        while !self.try_take().await? {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    /// Tries, comes into the list, tries again in case it was given back in between, and waits to be
    /// woken.
    async fn wait(&self) -> Result<()> {
        if self.try_take().await? {
            return Ok(());
        }
        let mut subscribe = redis::cmd("SUBSCRIBE");
        subscribe.arg(&self.channel).exec_async(&mut self.connection.clone()).await?;
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.wait).arg(1).arg(QUEUE).arg(&self.channel);
        call.exec_async(&mut self.connection.clone()).await?;
        while !self.try_take().await? {
            self.handed.notified().await;
        }
        Ok(())
    }

    async fn release(&self) -> Result<()> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.release).arg(2).arg(BY_HAND).arg(QUEUE).arg(&self.token);
        Ok(call.exec_async(&mut self.connection.clone()).await?)
    }
}
