//! Stores in a Redis server or a Redis Cluster, which any number of machines may share.
//!
//! Needs Redis 6.0 or later (or a server that does as it does: Lua scripts, RESP3): one server, the
//! primary of a replicated set, or a cluster (feature `redis-cluster`); each in the clear or with TLS
//! (feature `redis-tls`). Every acquire and every slice of updates is one script and one round trip,
//! all of it or nothing; in a cluster that holds for the keys of one slot. Where many calls meet on
//! one connection to one server they share scripts, each of them still for itself.
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
//! letters, of which each connection has one subscription for all its keys. A connection that nobody
//! listens on is passed over. The record is kept for the one who was called for 250 ms: its acquire,
//! which the connection sends where it hears the call, makes a lease of it; and if none comes, whoever
//! asks next takes the key, as a first attempt; the second in the queue was told to ask then. So a
//! waiter that was killed costs nothing, and one that stands still a quarter of a second. To give up
//! is to be taken out, and to pass on what came at the same moment. A queue has a time to live of a
//! minute, which those in it renew, and is gone when it is empty.
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
//! what was taken is given back before the error is returned; a key whose server took it and could
//! not say so is found when the same request comes again, and is its own, or given back with the
//! others.
//!
//! **Updates** of one slot are one step. Those of several are sent at once, except that locks are
//! given back only when the outcome beside them is stored.
//!
//! **Waiting** is listening, for locks as well: there are no queues, and whoever comes first takes
//! a key that was given back.
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
//! and `+evalsha +eval +script|load +time +get +set +setrange +zadd +zpopmin +zrange +zrem
//! +pexpire +publish +subscribe +unsubscribe +info`; in a cluster the keys `oncely:last_token*`, and
//! also `+cluster|slots +asking`. Without the channels, the queues or their commands waiting falls
//! back to looking now and then; without `info` the server is used unseen, with a warning.

mod acquire;
mod address;
mod batch;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod couriers;
mod error;
mod greet;
mod layout;
mod link;
mod links;
mod node;
mod operations;
mod places;
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
#[cfg(feature = "testing")]
use crate::store::clock::Clock;
use crate::store::{Key, StoreError};

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
    /// Dropping the future closes the connection, within two seconds; nothing was written.
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

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("address", &self.shown).finish()
    }
}
