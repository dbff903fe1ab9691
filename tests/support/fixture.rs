//! Every store that the behavior is tested on.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oncely::store::Store;
use oncely::store::memory::MemoryStore;
use oncely::testing::{FaultyStore, Fixture as _};
use oncely::{Coordinator, CoordinatorBuilder};

use crate::cluster::ClusterFixture;
use crate::mysql::MySqlFixture;
use crate::postgres::PostgresFixture;
use crate::redis::RedisFixture;
use crate::secs;
use crate::sqlite::SqliteFixture;

/// One store of one kind, empty at first, and whatever stands before it.
pub struct Fixture {
    store: FaultyStore,
    elsewhere: Arc<dyn Store>,
    steady_lease: Duration,
    /// What the store is in; lives as long as the test.
    _place: Option<Box<dyn Any + Send>>,
}

impl Fixture {
    /// A store in memory.
    pub async fn memory() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let elsewhere = Arc::clone(&store);
        let store = FaultyStore::new(store);
        Self { store, elsewhere, steady_lease: secs(30), _place: None }
    }

    /// An SQLite file.
    pub async fn sqlite() -> Self {
        let file = SqliteFixture::new();
        let (store, elsewhere) = (FaultyStore::new(file.store().await), file.store().await);
        Self { store, elsewhere, steady_lease: secs(2), _place: Some(Box::new(file)) }
    }

    /// A Redis server.
    pub async fn redis() -> Self {
        let server = RedisFixture::new();
        let (store, elsewhere) = (FaultyStore::new(server.store().await), server.store().await);
        Self { store, elsewhere, steady_lease: secs(2), _place: Some(Box::new(server)) }
    }

    /// A PostgreSQL database.
    pub async fn postgres() -> Self {
        let place = PostgresFixture::new().await;
        let (store, elsewhere) = (FaultyStore::new(place.store().await), place.store().await);
        Self { store, elsewhere, steady_lease: secs(2), _place: Some(Box::new(place)) }
    }

    /// A MySQL database.
    pub async fn mysql() -> Self {
        let place = MySqlFixture::new().await;
        let (store, elsewhere) = (FaultyStore::new(place.store().await), place.store().await);
        Self { store, elsewhere, steady_lease: secs(2), _place: Some(Box::new(place)) }
    }

    /// A cluster of Redis servers.
    pub async fn redis_cluster() -> Self {
        let cluster = ClusterFixture::new();
        let (store, elsewhere) = (FaultyStore::new(cluster.store().await), cluster.store().await);
        Self { store, elsewhere, steady_lease: secs(2), _place: Some(Box::new(cluster)) }
    }

    /// The faults of this process's way to the store.
    pub fn store(&self) -> &FaultyStore {
        &self.store
    }

    /// A coordinator of this process.
    pub fn coordinator(&self) -> Coordinator {
        Coordinator::new(Arc::new(self.store.clone()))
    }

    /// A coordinator of this process that is set up by hand.
    pub fn build(&self, builder: CoordinatorBuilder) -> Coordinator {
        builder.build(Arc::new(self.store.clone())).expect("a coordinator")
    }

    /// The way to the same data that another process would have, without faults.
    pub fn open_elsewhere(&self) -> Arc<dyn Store> {
        Arc::clone(&self.elsewhere)
    }

    /// A coordinator as another process would have it.
    pub fn elsewhere(&self) -> Coordinator {
        Coordinator::builder().build(self.open_elsewhere()).expect("a coordinator")
    }

    /// A lease that is certainly kept on a loaded machine, and short enough to see it renewed.
    pub fn steady_lease(&self) -> Duration {
        self.steady_lease
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Makes each function a test on every store: one module for each kind.
///
/// Where only memory is involved, time is paused; a test must hold in real time as well.
#[macro_export]
macro_rules! for_every_store {
    ($($(#[$attribute:meta])* async fn $name:ident($fixture:ident: Fixture) $body:block)+) => {
        $($(#[$attribute])* async fn $name($fixture: $crate::Fixture) $body)+
        $crate::on_a_store!(memory, (start_paused = true), $($name)+);
        $crate::on_a_store!(sqlite, (), $($name)+);
        $crate::on_a_store!(redis, (), $($name)+);
        $crate::on_a_store!(postgres, (), $($name)+);
        $crate::on_a_store!(mysql, (), $($name)+);
        $crate::on_a_store!(redis_cluster, (), $($name)+);
    };
}

/// One module of [`for_every_store!`].
#[doc(hidden)]
#[macro_export]
macro_rules! on_a_store {
    ($store:ident, $time:tt, $($name:ident)+) => {
        mod $store {
            $(
                #[tokio::test $time]
                async fn $name() {
                    super::$name($crate::Fixture::$store().await).await;
                }
            )+
        }
    };
}
