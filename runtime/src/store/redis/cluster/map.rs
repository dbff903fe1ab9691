//! Which server has which slot, as far as it is known.

use std::sync::Arc;

use redis::{ConnectionAddr, Value};

use super::slots::{SLOTS, Slot};
use crate::store::redis::address::Server;
use crate::store::redis::node::Node;

/// Of a slot that no server is known to have.
const NOBODY: u16 = u16::MAX;

/// The servers of a cluster that take writes, and what each has.
pub(super) struct Map {
    nodes: Vec<Arc<Node>>,
    /// For each slot the index of its server.
    owners: Vec<u16>,
}

/// Slots from one to another, and the host and port of their server.
pub(super) type Range = (Slot, Slot, String, u16);

impl Map {
    /// Nothing is known but these servers.
    pub(super) fn new(nodes: Vec<Arc<Node>>) -> Self {
        Self { nodes, owners: vec![NOBODY; usize::from(SLOTS)] }
    }

    /// The server of a slot.
    pub(super) fn owner(&self, slot: Slot) -> Option<Arc<Node>> {
        let owner = self.owners.get(usize::from(slot))?;
        self.nodes.get(usize::from(*owner)).map(Arc::clone)
    }

    /// Every server that is known.
    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// Notes that a slot has moved.
    pub(super) fn moved(&mut self, slot: Slot, node: &Arc<Node>) {
        let known = self.nodes.iter().position(|known| Arc::ptr_eq(known, node));
        let index = known.unwrap_or_else(|| {
            self.nodes.push(Arc::clone(node));
            self.nodes.len() - 1
        });
        if let Some(owner) = self.owners.get_mut(usize::from(slot)) {
            *owner = u16::try_from(index).unwrap_or(NOBODY);
        }
    }

    /// The server at this address: a known one, or one that is spoken to as `like` is.
    pub(super) fn node(&self, host: &str, port: u16, like: &Node) -> Arc<Node> {
        let address = ConnectionAddr::Tcp(host.to_owned(), port);
        let known = self.nodes.iter().find(|node| *node.server().info.addr() == address);
        known.cloned().unwrap_or_else(|| {
            let Server { info, tls } = like.server().clone();
            Arc::new(Node::new(Server { info: info.set_addr(address), tls }))
        })
    }

    /// The map that the server `asked` has told. Servers that have nothing any more are forgotten.
    pub(super) fn told(&self, ranges: &[Range], asked: &Node) -> Self {
        let mut map = Self::new(Vec::new());
        for (first, last, host, port) in ranges {
            let known = map.nodes.iter().find(|node| is_at(node, host, *port)).cloned();
            let node = known.unwrap_or_else(|| self.node(host, *port, asked));
            for slot in *first..=*last {
                map.moved(slot, &node);
            }
        }
        map
    }
}

fn is_at(node: &Node, host: &str, port: u16) -> bool {
    matches!(node.server().info.addr(), ConnectionAddr::Tcp(h, p) if h == host && *p == port)
}

/// What `CLUSTER SLOTS` answered. A server that does not know its own name is where it was `asked`.
pub(super) fn ranges(answer: Value, asked: &Node) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else { return None };
    let range = |range: Value| {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &range[..] else {
            return None;
        };
        let [host, Value::Int(port), ..] = &primary[..] else { return None };
        let host = match host {
            Value::BulkString(host) => std::str::from_utf8(host).ok()?,
            Value::SimpleString(host) => host,
            Value::Nil => "",
            _ => return None,
        };
        let host = if matches!(host, "" | "?") { asked.host() } else { host };
        let [first, last, port] = [first, last, port].map(|number| u16::try_from(*number).ok());
        Some((first?, last.filter(|last| *last < SLOTS)?, host.to_owned(), port?))
    };
    ranges.into_iter().map(range).collect()
}
