//! Stores in a Redis server, which any number of machines may share.
//!
//! Needs Redis 6.0 or later (or a server that does as it does: Lua scripts, RESP3), one server or
//! the primary of a replicated set. Every acquire and every slice of updates is one script and one
//! round trip, all of it or nothing. Clusters and TLS are not supported in this release.
//!
//! # What is in the server
//!
//! A record is a string at the key named exactly as [`Key::as_str`](crate::store::Key::as_str):
//! `redis-cli --no-raw get oncely/call/pay//r-1`. Its first line has nine words, all but the last of
//! a fixed width, and the bytes that belong to it follow:
//!
//! ```text
//! 1 c r 0 f 1764151200000123 1764237600000 1764151200000 1⏎ <fingerprint, 33 bytes> <outcome>
//! 1 p r - - 1764151200000456 1764151230000 1764151200000 1⏎ <attempt id, 16 bytes>
//! 1 f - - - 1764151200000789⏎
//! ```
//!
//! | word | means |
//! |---|---|
//! | `1` | the version of the layout |
//! | `p`, `g`, `c`, `i`, `f` | in progress, granted to a waiter who has not come yet, completed, interrupted, free (given back) |
//! | `r`, `h` | once interrupted: rerun, or hold until someone resolves it |
//! | `-`, `w`, `l` or a digit | nobody waits, somebody waits in the queue, somebody listens who has no place in it; of a completed record what the outcome is: 0 a value, 1 an error, 2 none that could be stored |
//! | `-`, `f` | whether a fingerprint follows |
//! | 16 digits | the fencing token |
//! | 13 digits | when the lease or the retention ends, in ms since 1970 by the server's clock |
//! | 13 digits | when the record came into its state, or its holder took it |
//! | a number | the attempt |
//!
//! What was given back ends after its token. The outcome is the last part, byte for byte.
//! `oncely:last_token` is the highest token that anybody was given. A record has
//! a time to live that ends when nobody needs it any more: an outcome's with its retention, that of
//! what was given back after a minute, that of what was left in progress a day after its lease. The
//! time to live only cleans up; whether a lease is over is decided by the number in the record, when
//! somebody else asks. Records that are held back have none. Deleting a key takes it from its
//! holder, who is told that the lease is lost.
//!
//! # Waiting
//!
//! A free key pays for none of this: only an acquire that is turned away marks the record, and only
//! the end of a marked record looks for those who wait.
//!
//! **In line.** Whoever waits for one lock has a place in the sorted set `oncely/queue/` and the
//! key, by the time of its coming: 16 bytes of the attempt's id, 16 letters of its connection. The
//! holder that gives the key back takes the first place out, writes the record anew for that attempt
//! (`g`, with a token of its own), and tells the connection on its channel `oncely:granted:` and the
//! letters, of which each connection has one subscription for all its keys. A connection that
//! nobody listens on is passed over. The record is kept for the one who was called for 250 ms: its
//! acquire makes a lease of it, and if none comes, whoever asks next takes the key, as a first
//! attempt; the second in the queue was told to ask then. So a waiter that was killed costs nothing,
//! and one that stands still a quarter of a second. To give up is to be taken out, and to pass on what came at the same moment. A queue has a
//! time to live of a minute, which those in it renew, and is gone when it is empty.
//!
//! **Listening.** Whoever waits for a call, or for several keys at once, cannot be handed one key.
//! They subscribe to the channel `oncely:changed:` and the key. A key that one of them was turned
//! away from is not handed over at its end but left free, and the first in line is called as they
//! are: whoever comes first takes it. So neither kind starves behind the other.
//!
//! The order is that of places. A key that is free is taken by whoever asks, although others may be
//! in line: after a lease that expired, or between the end of a record that was listened to and those
//! who were called. All who wait also look now and then by themselves, which is what finds expired
//! leases, deleted records, and calls that were lost.
//!
//! A lease that is lost before its time (its record was deleted) is noticed by the next renewal.
//! The server could push it (client-side caching), but would then have to be asked to with each take.
//! A lease that ran out is noticed earlier: by the holder's own clock, before anybody can take it.
//!
//! # What may be lost
//!
//! **On failover.** Redis replicates after it answers. A replica that takes over may not know of a
//! lease that was granted or an outcome that was stored just before, and then grants the key again.
//! No setting closes this; what does is the [fencing token](crate::Call::fencing_token), checked
//! where the effect happens. A token is at least twice the server's time in µs (which stays below
//! 2^53 until the year 2112), and 32 above every token the server knows of: the numbers between two
//! are for those who share a lease within one process. So it rises across release, expiry,
//! deletion, restart without persistence, `FLUSHALL` and failover; and while the counter is there,
//! across a clock that steps back. It does not rise if the counter is lost *and* the tokens were
//! ahead of the clock: because that went back behind the time of the loss (a replica that lacks the
//! last writes and whose clock lags by more than the failover took), or because more than 62,500
//! grants a second went before.
//!
//! **On a crash.** What the server has not written to its disk is gone with it: everything without
//! persistence, about a second with `appendonly yes` and `appendfsync everysec`, nothing with
//! `appendfsync always`. A holder whose record is gone is told that the lease is lost; an outcome
//! that is gone means that a repeated call runs again.
//!
//! **Under memory pressure.** A `maxmemory-policy` other than `noeviction` deletes records when the
//! memory is full. The store warns of it when it is opened.
//!
//! # Rights
//!
//! A user of the server's access lists needs the keys of the namespace, those that start with
//! `oncely/queue/`, and `oncely:last_token`, the channels `oncely:changed:*` and `oncely:granted:*`,
//! and `+evalsha +script|load +time +get +set +setrange +zadd +zpopmin +zrange +zrem
//! +pexpire +publish +subscribe +unsubscribe +info`. Without the channels, the queues or their commands
//! waiting falls back to looking now and then; without `info` the server is used unseen, with a
//! warning.

mod acquire;
mod address;
mod error;
mod greet;
mod layout;
mod link;
mod places;
mod script;
mod update;
mod watch;

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use self::address::Address;
use self::error::Failure;
use self::link::{Link, Links};
use self::script::Script;
#[cfg(feature = "testing")]
use crate::store::clock::Clock;
use crate::store::record::SPARE_TOKENS;
use crate::store::{
    Acquired, BoxFuture, Key, Lease, LeaseRequest, Store, StoreError, StoreErrorKind, Update,
    Updated,
};

/// How long an operation may take in all: less than half of a coordinator's limit, so that an
/// acquire can be sent twice.
const LIMIT: Duration = Duration::from_secs(2);

/// A store in a Redis server.
///
/// Any number of processes and machines may share the server; times are the server's. The store
/// belongs to no tokio runtime: it opens one connection in each that uses it, and opens another
/// when that one is lost. An operation that finds no answer within two seconds is
/// [`Unavailable`](crate::store::StoreErrorKind::Unavailable); the server may have done it all the
/// same, and sent again it is answered as before.
///
/// The [module](self) says what is kept in the server, and what may be lost.
pub struct RedisStore {
    address: Address,
    links: Links,
    #[cfg(feature = "testing")]
    clock: Clock,
}

impl RedisStore {
    /// Opens the store in the server that `url` names.
    ///
    /// `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, or
    /// `redis+unix:///PATH[?db=DATABASE&user=USER&pass=PASSWORD]` (also `unix:///PATH`).
    ///
    /// # Errors
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the server cannot be reached
    /// or is loading its data.
    /// [`Unsupported`](crate::store::StoreErrorKind::Unsupported) if the URL cannot be used, the
    /// server is older than 6.0, a replica, or part of a cluster, or the user lacks a right.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; nothing was written.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let store = Self {
            address: Address::parse(url)?,
            links: Links::default(),
            #[cfg(feature = "testing")]
            clock: Clock::default(),
        };
        let address = &store.address.shown;
        store.bounded(async |link| greet::greet(link, address).await).await?;
        Ok(store)
    }

    /// As [`connect`](Self::connect), with a clock whose steps are added to the server's.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    #[cfg(feature = "testing")]
    pub async fn connect_with_clock(url: &str, clock: Clock) -> Result<Self, StoreError> {
        Ok(Self { clock, ..Self::connect(url).await? })
    }

    #[cfg(feature = "testing")]
    fn offset(&self) -> i64 {
        self.clock.offset()
    }

    #[cfg(not(feature = "testing"))]
    #[allow(clippy::unused_self)]
    fn offset(&self) -> i64 {
        0
    }

    /// Does one thing on the connection of this runtime, within the time limit.
    async fn bounded<T>(
        &self,
        operation: impl AsyncFnOnce(&Link) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        // Timers and connections panic where there is no runtime.
        let runtime = Handle::try_current().map_err(|error| {
            let advice = "use the store from within a tokio runtime";
            StoreError::new(StoreErrorKind::Unsupported, advice).with_source(error)
        })?;
        let mut used = None;
        let work = async {
            let link = match self.links.current(&runtime) {
                Some(link) => link,
                None => self.links.open(&runtime, &self.address.info).await?,
            };
            operation(used.insert(link)).await
        };
        let answer = timeout(LIMIT, work).await.unwrap_or(Err(Failure::TooLate));
        answer.map_err(|failure| {
            if let Some(link) = used.filter(|_| failure.spoils_connection()) {
                link.give_up();
            }
            failure.at(&self.address.shown)
        })
    }
}

impl Store for RedisStore {
    /// # Cancel safety
    /// The keys are taken or not taken, all of them; dropping the future does not stop what was
    /// sent.
    fn acquire<'a>(
        &'a self,
        requests: &'a [LeaseRequest],
    ) -> BoxFuture<'a, Result<Acquired, StoreError>> {
        Box::pin(async move {
            if requests.is_empty() {
                return Ok(Acquired::Leases(Vec::new()));
            }
            let offset = self.offset();
            self.bounded(async |link| {
                let command = |sha: &str| acquire::command(sha, requests, offset);
                acquire::answer(requests, link.run(Script::Acquire, command).await?)
            })
            .await
        })
    }

    /// # Cancel safety
    /// All updates are applied or none; dropping the future does not stop what was sent.
    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async move {
            if updates.is_empty() {
                return Ok(Vec::new());
            }
            let offset = self.offset();
            self.bounded(async |link| {
                let command = |sha: &str| update::command(sha, updates, offset);
                update::answer(updates, link.run(Script::Update, command).await?)
            })
            .await
        })
    }

    /// Without a connection it resolves at once: looking again opens one.
    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        let link = Handle::try_current().ok().and_then(|runtime| self.links.current(&runtime));
        let told = link.and_then(|link| link.watch(key.as_str()));
        Box::pin(async {
            if let Some(told) = told {
                told.await;
            }
        })
    }

    /// A request for a lock gets a place in a queue; others hear of every change.
    ///
    /// # Cancel safety
    /// Dropped, the place is given up, and a key that was handed over just then goes to the next.
    fn wait<'a>(&'a self, request: &'a LeaseRequest) -> BoxFuture<'a, ()> {
        if !request.is_plain() {
            return self.changed(&request.key);
        }
        let link = Handle::try_current().ok().and_then(|runtime| self.links.current(&runtime));
        let place = link.and_then(|link| link.wait(request, self.offset()));
        Box::pin(async {
            if let Some(place) = place {
                place.called().await;
            }
        })
    }

    fn keeps_order(&self) -> bool {
        true
    }

    fn spare_tokens(&self) -> u64 {
        SPARE_TOKENS
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.address.shown).finish()
    }
}
