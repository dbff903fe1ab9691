//! The coordinator: one store, one namespace, and what is held through them.

mod builder;
mod detached;
mod idempotent;
mod installed;
mod joined;
mod lock;
mod planned;
mod settings;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use self::builder::CoordinatorBuilder;
pub use self::idempotent::Idempotent;
pub use self::lock::Lock;

#[doc(hidden)]
pub use self::installed::Binding;

use self::settings::FOREVER;
use crate::idempotency::Cache;
use crate::joined::Gates;
use crate::lease::Leases;
use crate::model::{Error, Key, Operation, Unfingerprinted};
use crate::store::Store;

/// Protects calls through one store. Cheap to clone; clones share everything.
///
/// ```
/// use oncely::Coordinator;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), oncely::Error> {
/// let oncely = Coordinator::connect("memory:").await?;
///
/// let outcome = oncely
///     .idempotent("pay", "order:42")
///     .fingerprint(&("order:42", 1_000))
///     .run(|call| async move { Ok::<_, oncely::Error>(call.attempt()) })
///     .await?;
/// assert_eq!(outcome.into_value(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Coordinator(Arc<Inner>);

struct Inner {
    leases: Arc<Leases>,
    namespace: Box<str>,
    cache: Option<Cache>,
    gates: Gates,
}

impl Coordinator {
    /// A coordinator with the defaults, on the store at `url`.
    ///
    /// `memory:` keeps everything in this process; `sqlite://payments.db` in a file,
    /// `postgres://USER:PASSWORD@HOST/DATABASE`, `mysql://…` and `mariadb://…` in a database, and
    /// `redis://HOST` in a Redis server, each with the feature of its store.
    ///
    /// # Errors
    /// [`InvalidConfiguration`](crate::ErrorKind::InvalidConfiguration) for a URL that no store of
    /// this build serves, [`StoreUnavailable`](crate::ErrorKind::StoreUnavailable) if the store
    /// cannot be reached or opened, [`StoreUnsupported`](crate::ErrorKind::StoreUnsupported) if it
    /// is not one that this release can use, or the rest of its URL is not.
    ///
    /// # Cancel safety
    /// Dropped, nothing is left but perhaps the tables of the store.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder().connect(url).await
    }

    /// A coordinator with the defaults, on a store of your own, or on one that is shared by an
    /// `Arc`.
    pub fn new(store: impl Store) -> Self {
        Self::with(Arc::new(store), &CoordinatorBuilder::default())
    }

    /// Sets more than the store.
    pub fn builder() -> CoordinatorBuilder {
        CoordinatorBuilder::default()
    }

    fn with(store: Arc<dyn Store>, builder: &CoordinatorBuilder) -> Self {
        Self(Arc::new(Inner {
            leases: Leases::new(store, builder.store_timeout),
            namespace: builder.namespace.as_str().into(),
            cache: builder.cache(),
            gates: Gates::default(),
        }))
    }

    /// Makes this the coordinator of every annotated function in the process that names no other.
    ///
    /// # Errors
    /// [`AlreadyInstalled`](crate::ErrorKind::AlreadyInstalled) if there is one: it stays.
    pub fn install(&self) -> Result<(), Error> {
        installed::install(self)
    }

    /// Makes this the coordinator of every annotated function that `future` calls in its task; for
    /// tests and tenants. It goes before the installed one.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        installed::scope(self.clone(), future)
    }

    /// A lock on `key`, which excludes every other holder of that key in this namespace.
    ///
    /// Nothing happens before [`run`](Lock::run) or [`acquire`](Lock::acquire).
    pub fn lock(&self, key: impl AsRef<str>) -> Lock {
        self.lock_all([key])
    }

    /// A lock on all of `keys`, or none: in any order, without deadlocks. Equal keys count once.
    pub fn lock_all<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>) -> Lock {
        Lock::new(self.into(), keys, |namespace, key| Key::lock(namespace, key.as_ref()))
    }

    /// A call of `operation` with this idempotency key.
    ///
    /// Nothing happens before [`run`](Idempotent::run).
    pub fn idempotent(&self, operation: impl Into<String>, key: impl Into<String>) -> Idempotent {
        let operation = Operation::named(operation.into());
        let key = Key::call(&self.0.namespace, &operation, None, &key.into());
        Idempotent::new(self.into(), operation, Some(key))
    }

    fn shares_store_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.leases, &other.0.leases)
    }

    /// Starts nothing new, lets what runs come to its end for at most `deadline`, then stops the
    /// rest at its next await; its keys are given back as interrupted when it has stopped. Outside of a
    /// tokio runtime nothing can be waited for: all that runs is stopped at once.
    ///
    /// # Cancel safety
    /// Dropped, nothing new starts all the same, and what runs is not stopped; called again, it goes on.
    pub async fn shutdown(&self, deadline: Duration) -> Shutdown {
        let (stopped, unreleased) = self.0.leases.close(deadline.min(FOREVER)).await;
        let names = |keys: Vec<Key>| keys.iter().map(|key| key.name().to_owned()).collect();
        Shutdown { stopped: names(stopped), unreleased: names(unreleased) }
    }
}

/// Through whom a call is protected does not make it another call.
impl Unfingerprinted for Coordinator {}

impl fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordinator")
            .field("namespace", &self.0.namespace)
            .field("leases", &self.0.leases)
            .field("cache", &self.0.cache)
            .finish()
    }
}

/// What a shutdown could not wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    /// The keys whose calls were still running at the deadline, and were stopped.
    pub stopped: Vec<String>,
    /// Those of them that the store could not be told of; they are free when their lease expires.
    pub unreleased: Vec<String>,
}
