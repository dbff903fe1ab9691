//! Stores in a Redis server or a Redis Cluster, which any number of machines may share.
//!
//! Needs Redis 6.0 or later (or a server that does as it does: Lua scripts, RESP3): one server, the
//! primary of a replicated set, or a cluster (feature `redis-cluster`); each in the clear or with TLS
//! (feature `redis-tls`). Every acquire and every slice of updates is one script and one round trip,
//! all of it or nothing; in a cluster that holds for the keys of one slot.
//!
//! # What is in the server
//!
//! A record is a string at the key named exactly as [`Key::as_str`](crate::store::Key::as_str):
//! `redis-cli --no-raw get oncely/call/pay//r-1`. Its first line has nine words, and the bytes that
//! belong to it follow:
//!
//! ```text
//! 1 c r 3613285916672001 1 1764237600000 1764151200000 0 f⏎ <fingerprint, 33 bytes> <outcome>
//! 1 p r 3613285916672002 1 1764151230000 1764151200000 - -⏎ <attempt id, 16 bytes>
//! ```
//!
//! | word | means |
//! |---|---|
//! | `1` | the version of the layout |
//! | `p`, `c`, `i`, `f` | in progress, completed, interrupted, free (given back) |
//! | `r`, `h` | once interrupted: rerun, or hold until someone resolves it |
//! | a number | the fencing token |
//! | a number | the attempt |
//! | a number | when the lease or the retention ends, in ms since 1970 by the server's clock |
//! | a number | when the record came into its state |
//! | `-`, `w`, a number | nobody waits, somebody does; of a completed record what the outcome is: 0 a value, 1 an error, 2 none that could be stored |
//! | `-`, `f` | whether a fingerprint follows |
//!
//! The outcome is the last part, byte for byte. `oncely:last_token` counts the tokens. A record has
//! a time to live that ends when nobody needs it any more: an outcome's with its retention, that of
//! what was given back after a minute, that of what was left in progress a day after its lease. The
//! time to live only cleans up; whether a lease is over is decided by the number in the record, when
//! somebody else asks. Records that are held back have none. Deleting a key takes it from its
//! holder, who is told that the lease is lost.
//!
//! A waiter subscribes to the channel `oncely:changed:` and the key. A record that somebody was
//! turned away from is marked, and only then its end is published: a free key pays nothing.
//!
//! # In a cluster
//!
//! A script can touch the keys of one slot only. So each slot counts its tokens for itself, at
//! `oncely:last_token:{N}`, where `N` is the lowest number that puts the key into the slot; it moves
//! with the slot. Tokens of keys in different slots say nothing about each other.
//!
//! **Acquires.** Keys of one slot are taken in one round trip; name locks that are taken together
//! with the same part in braces (`account:{42}:a`, `account:{42}:b`) to have them in one. Keys of `n`
//! slots take `n + 1`: all are looked at first, and if one is occupied, none is touched; otherwise
//! they are taken slot by slot in the order of the slots, and given back if one has been occupied
//! meanwhile. There is no deadlock, and of several that want the same keys one gets them. But for
//! that moment a key may be seen as occupied by somebody who does not get it in the end; and the
//! occupied key that is reported is the first in the order of the requests as of the look, then the
//! first in the order of the slots. A lease counts from before the look. If a server fails half-way,
//! what was taken is given back before the error is returned.
//!
//! **Updates** of one slot are one step. Those of several are sent at once, except that locks are
//! given back only when the outcome beside them is stored.
//!
//! **Servers that fail** take their slots along: calls for these are
//! [`Unavailable`](crate::store::StoreErrorKind::Unavailable) within two seconds, until a replica
//! takes over; all others go on, if the cluster has `cluster-require-full-coverage no`. Slots may
//! move at any time; a key that is in neither place, because it is new, waits for its slot to
//! arrive, for as long as an operation may take.
//!
//! **TLS** in a cluster needs `tls-cluster yes`, or servers do not say where they speak it, and
//! certificates that are for the names or addresses which the servers announce.
//!
//! # What may be lost
//!
//! **On failover.** Redis replicates after it answers. A replica that takes over may not know of a
//! lease that was granted or an outcome that was stored just before, and then grants the key again.
//! No setting closes this; what does is the [fencing token](crate::Call::fencing_token), checked
//! where the effect happens. A token is at least twice the server's time in µs (which stays below
//! 2^53 until the year 2112), and above every token the server knows of. So it rises across release,
//! expiry, deletion, restart without persistence, `FLUSHALL` and failover; and while the counter is
//! there, across a clock that steps back. It does not rise if the counter is lost *and* the clock
//! goes back behind the time of the loss: a replica that lacks the last writes and whose clock lags
//! by more than the failover took.
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
//! A user of the server's access lists needs the keys of the namespace and `oncely:last_token`, the
//! channels `oncely:changed:*`, and `+evalsha +script|load +time +get +set +setrange +publish
//! +subscribe +unsubscribe +info`; in a cluster the keys `oncely:last_token*`, and also
//! `+cluster|slots +asking`. Without the channels or their commands waiting falls back to
//! looking now and then; without `info` the server is used unseen, with a warning.

mod acquire;
mod address;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod error;
mod greet;
mod layout;
mod link;
mod node;
mod script;
mod tls;
mod update;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use self::address::Address;
#[cfg(feature = "redis-cluster")]
use self::cluster::Cluster;
use self::link::Link;
use self::node::{Bounds, Node};
use self::script::{Script, TOKENS};
#[cfg(feature = "testing")]
use crate::store::clock::Clock;
use crate::store::{
    Acquired, BoxFuture, Key, Lease, LeaseRequest, Store, StoreError, Update, Updated,
};

/// How long an operation may take in all: less than half of a coordinator's limit, so that an
/// acquire can be sent twice.
const LIMIT: Duration = Duration::from_secs(2);

/// A store in a Redis server, or in a cluster of them.
///
/// Any number of processes and machines may share it; times are the servers'. The store belongs to
/// no tokio runtime: it opens one connection to each server in each runtime that uses it, and opens
/// another when that one is lost. An operation that finds no answer within two seconds is
/// [`Unavailable`](crate::store::StoreErrorKind::Unavailable); the server may have done it all the
/// same, and sent again it is answered as before.
///
/// The [module](self) says what is kept in the server, and what may be lost.
pub struct RedisStore {
    servers: Servers,
    /// What may be shown of the URL.
    shown: String,
    #[cfg(feature = "testing")]
    clock: Clock,
}

/// What the records are in.
enum Servers {
    One(Arc<Node>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Arc<Cluster>),
}

impl RedisStore {
    /// Opens the store that `url` names.
    ///
    /// | URL | for |
    /// |---|---|
    /// | `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]` | one server |
    /// | `rediss://…` | the same with TLS; feature `redis-tls` |
    /// | `redis+unix:///PATH[?db=DATABASE&user=USER&pass=PASSWORD]`, `unix:///PATH` | one server, by its socket |
    /// | `redis+cluster://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]]…` | a cluster, of which some servers are named; feature `redis-cluster` |
    /// | `rediss+cluster://…` | the same with TLS; both features |
    ///
    /// With TLS, the server's certificate must be for its host and signed by an authority that the
    /// machine trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others), or by those in the PEM file
    /// that `?ca=PATH` names. `?cert=PATH&key=PATH` name a certificate of our own and its key, for
    /// servers that ask for one, as Redis does unless told otherwise. The files are read here, once.
    ///
    /// # Errors
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if no server can be reached or it
    /// is loading its data.
    /// [`Unsupported`](crate::store::StoreErrorKind::Unsupported) if the URL cannot be used or needs
    /// a feature that is off, a certificate is not accepted, the server is older than 6.0, a
    /// replica, or part of a cluster though the URL names none (or the other way round), or the
    /// user lacks a right.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; nothing was written.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let address = Address::parse(url)?;
        let bounds = Bounds::of_now()?;
        let shown = address.shown();
        let servers = Servers::open(address, &bounds).await?;
        Ok(Self {
            servers,
            shown,
            #[cfg(feature = "testing")]
            clock: Clock::default(),
        })
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

    /// The connection of this runtime to the server that has `key`, if there is one.
    #[cfg_attr(not(feature = "redis-cluster"), allow(unused_variables))]
    fn link(&self, key: &Key) -> Option<Arc<Link>> {
        let runtime = Handle::try_current().ok()?;
        match &self.servers {
            Servers::One(node) => node.link(&runtime),
            #[cfg(feature = "redis-cluster")]
            Servers::Cluster(cluster) => cluster.link(key, &runtime),
        }
    }
}

impl Servers {
    async fn open(address: Address, bounds: &Bounds) -> Result<Self, StoreError> {
        #[cfg(feature = "redis-cluster")]
        if address.others.is_some() {
            return Ok(Self::Cluster(Cluster::open(address, bounds).await?));
        }
        let node = Node::new(address.server);
        let greeting =
            node.bounded(bounds, async |link| greet::greet(link, node.shown(), false).await);
        greeting.await.map_err(|failure| failure.at(node.shown()))?;
        Ok(Self::One(Arc::new(node)))
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
            let (bounds, offset) = (Bounds::of_now()?, self.offset());
            match &self.servers {
                Servers::One(node) => {
                    let command = |sha: &str| acquire::command(sha, TOKENS, requests, offset);
                    let answer = node.run(&bounds, Script::Acquire, command).await;
                    let answer = answer.and_then(|answer| acquire::answer(requests, answer));
                    answer.map_err(|failure| failure.at(node.shown()))
                }
                #[cfg(feature = "redis-cluster")]
                Servers::Cluster(cluster) => cluster.acquire(bounds, requests, offset).await,
            }
        })
    }

    /// # Cancel safety
    /// The updates of one server are applied, all of them, or none; dropping the future does not
    /// stop what was sent.
    fn update<'a>(
        &'a self,
        updates: &'a [(Lease, Update)],
    ) -> BoxFuture<'a, Result<Vec<Updated>, StoreError>> {
        Box::pin(async move {
            if updates.is_empty() {
                return Ok(Vec::new());
            }
            let (bounds, offset) = (Bounds::of_now()?, self.offset());
            match &self.servers {
                Servers::One(node) => {
                    let command = |sha: &str| update::command(sha, updates, offset);
                    let answer = node.run(&bounds, Script::Update, command).await;
                    let answer = answer.and_then(|answer| update::answer(updates, answer));
                    answer.map_err(|failure| failure.at(node.shown()))
                }
                #[cfg(feature = "redis-cluster")]
                Servers::Cluster(cluster) => cluster.update(bounds, updates, offset).await,
            }
        })
    }

    /// Without a connection it resolves at once: looking again opens one.
    fn changed<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, ()> {
        let told = self.link(key).and_then(|link| link.watch(key.as_str()));
        Box::pin(async {
            if let Some(told) = told {
                told.await;
            }
        })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.shown).finish()
    }
}
