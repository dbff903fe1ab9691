//! One server, and the connections to it.

use std::fmt;
use std::pin::pin;
use std::slice;
use std::sync::Arc;

#[cfg(feature = "redis-cluster")]
use redis::ConnectionAddr;
use redis::{Cmd, Value};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::LIMIT;
use super::acquire;
use super::address::Server;
use super::batch::One;
use super::error::Failure;
use super::link::Link;
use super::links::Links;
use super::places::Answering;
use super::script::{By, Script};
use crate::store::{Acquired, LeaseRequest, StoreError, runtime};

/// Where an operation runs, and until when.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) runtime: Handle,
    pub(super) until: Instant,
}

impl Bounds {
    /// Those of an operation that begins now.
    pub(super) fn of_now() -> Result<Self, StoreError> {
        Ok(Self { runtime: runtime::current()?, until: Instant::now() + LIMIT })
    }
}

/// A server, connected to once from each runtime that uses it.
pub(super) struct Node {
    server: Server,
    shown: String,
    links: Links,
}

impl Node {
    pub(super) fn new(server: Server) -> Self {
        Self { shown: server.shown(), server, links: Links::default() }
    }

    #[cfg(feature = "redis-cluster")]
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Its host, or nothing if it is on a socket.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn host(&self) -> &str {
        match self.server.info.addr() {
            ConnectionAddr::Tcp(host, _) => host,
            _ => "",
        }
    }

    /// What may be shown of its address.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The connection of this runtime, if there is one.
    pub(super) fn link(&self, runtime: &Handle) -> Option<Arc<Link>> {
        self.links.current(runtime)
    }

    /// Does one thing of one key, perhaps together with others, within its time.
    pub(super) async fn one(&self, bounds: &Bounds, call: One<'_>) -> Result<Value, Failure> {
        let until = bounds.until;
        match self.links.current(&bounds.runtime) {
            Some(link) => {
                let answer = link.run_one(call, until).await;
                if let Err(failure) = &answer {
                    link.failed(failure);
                }
                answer
            }
            // Seldom, and large.
            None => {
                Box::pin(self.bounded(bounds, async |link| link.run_one(call, until).await)).await
            }
        }
    }

    /// What came of a request that was sent where a call was heard, within its time.
    pub(super) async fn heard(
        &self,
        request: &LeaseRequest,
        answering: Answering,
    ) -> Result<Acquired, StoreError> {
        let Answering { since, answer, link } = answering;
        let answer = timeout_at(since + LIMIT, answer).await.unwrap_or(Err(Failure::TooLate));
        if let Err(failure) = &answer {
            link.failed(failure);
        }
        let acquired = answer.and_then(|answer| acquire::answer(slice::from_ref(request), answer));
        acquired.map_err(|failure| failure.at(&self.shown))
    }

    /// Calls a script, within its time.
    pub(super) async fn run(
        &self,
        bounds: &Bounds,
        script: Script,
        command: impl Fn(By<'_>) -> Cmd,
    ) -> Result<Value, Failure> {
        // Boxed, so that calls of one key are small.
        Box::pin(self.bounded(bounds, async |link| link.run(script, command).await)).await
    }

    /// Does something on the connection of a runtime, within its time.
    pub(super) async fn bounded<T>(
        &self,
        bounds: &Bounds,
        operation: impl AsyncFnOnce(&Arc<Link>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Bounds { runtime, until } = bounds;
        let link = match self.links.current(runtime) {
            Some(link) => link,
            None => {
                // Seldom, and large.
                let opened = Box::pin(self.links.open(runtime, &self.server));
                timeout_at(*until, opened).await.unwrap_or(Err(Failure::TooLate))?
            }
        };
        let answer = link.timers.within(link.runtime(), *until, pin!(operation(&link))).await;
        let answer = answer.unwrap_or(Err(Failure::TooLate));
        if let Err(failure) = &answer {
            link.failed(failure);
        }
        answer
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.shown).finish_non_exhaustive()
    }
}
