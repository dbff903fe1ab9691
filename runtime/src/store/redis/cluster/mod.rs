//! A cluster: every slot of keys is in one of several servers, and may move to another.
//!
//! The driver's own client for clusters is not used: it stops all commands while it looks for a
//! server that is gone, it lets another command slip between `ASKING` and what was to be asked,
//! and it subscribes at any server, so that news may be over before they are subscribed to.

mod map;
mod slots;
mod spread;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use self::map::{Map, Range};
use self::slots::Slot;
use super::address::Address;
use super::error::{Failure, Redirect};
use super::greet::greet;
use super::link::Link;
use super::node::{Bounds, Node};
use super::script::{By, Script};
use crate::store::{Key, StoreError, StoreErrorKind};

/// How often one call follows where servers send it. A slot on its way takes two; more means that
/// they do not agree.
const REDIRECTS: usize = 8;
/// The pause before a call whose keys are on their way is sent again.
const ON_THE_WAY: Duration = Duration::from_millis(20);
/// How many servers are asked at once for the map.
const ASKED: usize = 5;

/// The servers of a cluster, and which of them has what.
pub(super) struct Cluster {
    /// What may be shown of the URL.
    shown: String,
    /// Those that the URL names.
    seeds: Vec<Arc<Node>>,
    map: Mutex<Map>,
    /// Somebody is asking for a new map.
    asking: AtomicBool,
}

impl Cluster {
    /// Finds out who has what, and looks at every server.
    pub(super) async fn open(address: Address, bounds: &Bounds) -> Result<Arc<Self>, StoreError> {
        let shown = address.shown();
        let servers = std::iter::once(address.server).chain(address.others.into_iter().flatten());
        let seeds: Vec<_> = servers.map(|server| Arc::new(Node::new(server))).collect();
        let map = Mutex::new(Map::new(seeds.clone()));
        let cluster = Arc::new(Self { shown, seeds, map, asking: AtomicBool::new(false) });
        cluster.learn(bounds).await?;
        let mut greetings = JoinSet::new();
        for node in cluster.map.lock().nodes() {
            let (node, bounds) = (Arc::clone(node), bounds.clone());
            greetings.spawn(async move {
                let greeting = async |link: &Arc<Link>| greet(link, node.shown(), true).await;
                let greeting = node.bounded(&bounds, greeting).await;
                greeting.map_err(|failure| failure.at(node.shown()))
            });
        }
        while let Some(Ok(greeting)) = greetings.join_next().await {
            match greeting {
                // Its slots are not served now; the others are.
                Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                    tracing::warn!(%error, "a server of the cluster cannot be reached");
                }
                greeting => greeting?,
            }
        }
        Ok(cluster)
    }

    /// The connection of a runtime to the server that has `key`, if there is one.
    pub(super) fn link(&self, key: &Key, runtime: &Handle) -> Option<Arc<Link>> {
        let owner = self.map.lock().owner(slots::slot(key))?;
        owner.link(runtime)
    }

    /// Calls a script whose keys are all in `slot`.
    async fn run(
        self: &Arc<Self>,
        bounds: &Bounds,
        slot: Slot,
        script: Script,
        command: impl Fn(By<'_>) -> Cmd,
    ) -> Result<Value, StoreError> {
        let owner = || self.map.lock().owner(slot);
        let Some(mut node) = owner() else {
            self.learn_soon(bounds);
            let message = format!("no server of the cluster is known to have the slot {slot}");
            return Err(StoreError::new(StoreErrorKind::Unavailable, message));
        };
        let (mut redirects, mut ask) = (0, false);
        loop {
            let answer = if ask {
                let asking = async |link: &Arc<Link>| link.run_asking(script, &command).await;
                node.bounded(bounds, asking).await
            } else {
                let calling = async |link: &Arc<Link>| link.run(script, &command).await;
                node.bounded(bounds, calling).await
            };
            let failure = match answer {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            redirects += 1;
            match failure.redirect().filter(|_| redirects < REDIRECTS) {
                Some(Redirect::Moved(to)) => {
                    node = self.node(&to, &node);
                    self.map.lock().moved(slot, &node);
                    self.learn_soon(bounds);
                    ask = false;
                }
                Some(Redirect::Ask(to)) => {
                    node = self.node(&to, &node);
                    ask = true;
                }
                Some(Redirect::TryAgain) if Instant::now() + ON_THE_WAY < bounds.until => {
                    sleep(ON_THE_WAY).await;
                    redirects = 0;
                    node = owner().unwrap_or(node);
                    ask = false;
                }
                Some(Redirect::TryAgain) | None => {
                    if failure.spoils_connection() {
                        self.learn_soon(bounds);
                    }
                    return Err(failure.at(node.shown()));
                }
            }
        }
    }

    /// The server at an address that `from` named.
    fn node(&self, (host, port): &(String, u16), from: &Node) -> Arc<Node> {
        let host = if host.is_empty() { from.host() } else { host };
        self.map.lock().node(host, *port, from)
    }

    /// Asks for a new map in the background, unless somebody does.
    fn learn_soon(self: &Arc<Self>, bounds: &Bounds) {
        if self.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let asked = Asked(Arc::clone(self));
        let bounds = Bounds { until: Instant::now() + super::LIMIT, ..bounds.clone() };
        bounds.runtime.clone().spawn(async move {
            if let Err(error) = asked.0.learn(&bounds).await {
                tracing::debug!(%error, "nobody tells which server has what");
            }
        });
    }

    /// Asks for a new map; whoever answers first is believed. If it is mistaken, servers say so.
    async fn learn(&self, bounds: &Bounds) -> Result<(), StoreError> {
        let mut nodes = self.map.lock().nodes().to_vec();
        nodes.sort_by_key(|node| node.link(&bounds.runtime).is_none());
        let seeds =
            self.seeds.iter().filter(|seed| !nodes.iter().any(|n| n.shown() == seed.shown()));
        let asked: Vec<_> = nodes.iter().take(ASKED).chain(seeds).cloned().collect();
        let mut answers = JoinSet::new();
        for node in asked {
            let bounds = bounds.clone();
            answers.spawn(async move { (ranges(&node, &bounds).await, node) });
        }
        let mut refusal = None;
        while let Some(answer) = answers.join_next().await {
            match answer {
                Ok((Ok(ranges), node)) => {
                    let mut map = self.map.lock();
                    *map = map.told(&ranges, &node);
                    return Ok(());
                }
                Ok((Err(failure), node)) => {
                    let error = failure.at(node.shown());
                    // What can be mended says more than who is not there.
                    if refusal.is_none() || error.kind() != StoreErrorKind::Unavailable {
                        refusal = Some(error);
                    }
                }
                Err(_) => {}
            }
        }
        Err(refusal.unwrap_or_else(|| {
            StoreError::new(StoreErrorKind::Unavailable, "no server of the cluster answered")
        }))
    }
}

async fn ranges(node: &Node, bounds: &Bounds) -> Result<Vec<Range>, Failure> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let answer = node.bounded(bounds, async |link| link.ask(command).await).await?;
    map::ranges(answer, node).ok_or_else(|| Failure::odd("cluster slots"))
}

/// Somebody asks for a map, until this is dropped: with the task, or with its runtime.
struct Asked(Arc<Cluster>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.asking.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("address", &self.shown).finish_non_exhaustive()
    }
}
