//! How a coordinator is set up.

use std::sync::Arc;
use std::time::Duration;

use super::Coordinator;
use super::settings::FOREVER;
use crate::idempotency::{Cache, ReplayCache};
use crate::model::{Error, ErrorKind, MAX_NAMESPACE_BYTES};
use crate::store::{self, Store};

const DEFAULT_NAMESPACE: &str = "oncely";
const DEFAULT_STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// Sets up a [`Coordinator`].
#[derive(Clone, Debug)]
pub struct CoordinatorBuilder {
    pub(super) namespace: String,
    pub(super) store_timeout: Duration,
    replay_cache: Option<ReplayCache>,
}

impl Default for CoordinatorBuilder {
    fn default() -> Self {
        Self {
            namespace: DEFAULT_NAMESPACE.to_owned(),
            store_timeout: DEFAULT_STORE_TIMEOUT,
            replay_cache: None,
        }
    }
}

impl CoordinatorBuilder {
    /// Keeps this application's keys apart from others in the same store; `oncely` by default, at
    /// most 64 bytes.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long a store may take to answer before it counts as unavailable; 5 seconds by default.
    pub fn store_timeout(mut self, limit: Duration) -> Self {
        self.store_timeout = limit.min(FOREVER);
        self
    }

    /// Keeps outcomes at hand, from which repeated calls are answered without a round trip to the
    /// store; without this every call asks the store.
    pub fn replay_cache(mut self, cache: ReplayCache) -> Self {
        self.replay_cache = Some(cache);
        self
    }

    /// Connects to the store at `url`.
    ///
    /// # Errors
    /// As [`Coordinator::connect`], and
    /// [`InvalidConfiguration`](ErrorKind::InvalidConfiguration) for a setting that cannot work.
    pub async fn connect(self, url: &str) -> Result<Coordinator, Error> {
        self.check()?;
        let store = store::connect(url).await?;
        self.build(store)
    }

    /// Uses a store of your own, or one that is shared by an `Arc`.
    ///
    /// # Errors
    /// [`InvalidConfiguration`](ErrorKind::InvalidConfiguration) for a setting that cannot work.
    pub fn build(self, store: impl Store) -> Result<Coordinator, Error> {
        self.check()?;
        Ok(Coordinator::with(Arc::new(store), &self))
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |message: String| Err(Error::new(ErrorKind::InvalidConfiguration, message));
        match self.namespace.len() {
            0 => return wrong("the namespace is empty; leave it out for `oncely`".to_owned()),
            1..=MAX_NAMESPACE_BYTES => {}
            length => {
                return wrong(format!(
                    "the namespace has {length} bytes and may have {MAX_NAMESPACE_BYTES}"
                ));
            }
        }
        if self.store_timeout.is_zero() {
            return wrong("a store that may take no time never answers; set a limit".to_owned());
        }
        self.replay_cache.as_ref().map_or(Ok(()), ReplayCache::check)
    }

    /// The cache of a new coordinator.
    pub(super) fn cache(&self) -> Option<Cache> {
        self.replay_cache.map(Cache::new)
    }
}
