//! The laws of a store as a test suite, and a store with faults, for those who write either side.
//!
//! A store of your own is held to the eleven laws by one line for each of its configurations:
//!
//! ```
//! use std::sync::Arc;
//!
//! use oncely::store::memory::MemoryStore;
//! use oncely::store::{BoxFuture, Store};
//! use oncely::testing::Fixture;
//!
//! struct MyFixture(Arc<MemoryStore>);
//!
//! impl Fixture for MyFixture {
//!     fn store(&self) -> BoxFuture<'_, Arc<dyn Store>> {
//!         let store: Arc<dyn Store> = self.0.clone();
//!         Box::pin(async { store })
//!     }
//! }
//!
//! mod my_store {
//!     oncely::store_laws!(super::MyFixture(Default::default()));
//! }
//! ```

mod faulty;
pub mod laws;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::faulty::{Call, FaultyStore, StoreFault};
#[cfg(any(feature = "sqlite", feature = "redis", feature = "postgres", feature = "mysql"))]
pub use crate::store::clock::Clock;
use crate::store::{BoxFuture, Store, StoreError};

/// Where a store under test comes from.
pub trait Fixture: Send + Sync {
    /// A further handle on the same data, as another process would have. At least two are open at
    /// a time.
    fn store(&self) -> BoxFuture<'_, Arc<dyn Store>>;

    /// Moves the clock by which the store's handles compare times back; `false` if that cannot be
    /// done.
    fn step_clock_back(&self, by: Duration) -> bool {
        let _ = by;
        false
    }

    /// Makes the store forget every record that it may forget, as days without calls would. Held
    /// back records stay, and so do those whose retention is longer than that.
    fn purge(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// A law of the contract of [`Store`].
#[derive(Clone, Copy)]
pub struct Law {
    name: &'static str,
    statement: &'static str,
    check: for<'f> fn(&'f dyn Fixture) -> BoxFuture<'f, Result<(), Violation>>,
}

impl Law {
    /// Its name, in one word or three.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it says.
    pub const fn statement(&self) -> &'static str {
        self.statement
    }

    /// Whether the fixture's store keeps it. Takes seconds at most: the leases in it are real and
    /// short.
    ///
    /// # Errors
    /// [`Violation`] for the first thing that is not as the law says.
    pub async fn check(&self, fixture: &dyn Fixture) -> Result<(), Violation> {
        (self.check)(fixture).await
    }
}

impl fmt::Debug for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.statement)
    }
}

/// A store broke a law: what it did, and what it should have done.
pub struct Violation {
    message: String,
}

impl Violation {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// As it is displayed: a test that returns it shows this.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Violation {}

impl From<StoreError> for Violation {
    fn from(error: StoreError) -> Self {
        let source = std::error::Error::source(&error);
        let cause = source.map(|source| format!(" ({source})")).unwrap_or_default();
        Self::new(format!("the store failed: {error}{cause}"))
    }
}

/// The eleven laws, in the order of the contract.
pub fn laws() -> &'static [Law] {
    macro_rules! laws {
        ($($function:ident, $name:literal, $statement:literal;)*) => {
            &[$(Law {
                name: $name,
                statement: $statement,
                check: |fixture| Box::pin(laws::$function(fixture)),
            }),*]
        };
    }
    laws! {
        exclusive, "exclusive", "of concurrent acquires of a free or expired key exactly one gets a lease";
        all_or_none, "all or none", "an acquire of several keys takes all or leaves no trace";
        rising, "rising", "tokens of a key strictly increase";
        fenced, "fenced", "an update with another token changes nothing and says `Lost`";
        successor_only, "successor-only", "time alone does not take a lease away, a successor does";
        final_, "final", "a completed record is replayed until its retention ends";
        repeatable, "repeatable", "what is sent again is answered as before";
        stores_clock, "store's clock", "callers send durations; only the store compares times";
        exact, "exact", "keys are compared and outcomes returned byte for byte";
        droppable, "droppable", "dropping any future leaves a legal state";
        held, "held", "an interrupted record is not taken by whoever may not take it";
    }
}

/// One test for each law, named after it, that holds a store to it.
///
/// The argument is an expression for a new [`Fixture`](crate::testing::Fixture), evaluated in each
/// test and inside an `async` function. The crate that uses the macro needs `tokio` with the
/// features `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! store_laws {
    ($fixture:expr $(,)?) => {
        $crate::store_laws! {
            @each $fixture;
            exclusive all_or_none rising fenced successor_only final_ repeatable stores_clock exact
            droppable held
        }
    };
    (@each $fixture:expr; $($law:ident)*) => {
        $(
            #[::tokio::test(flavor = "multi_thread")]
            async fn $law() -> ::core::result::Result<(), $crate::testing::Violation> {
                let fixture = $fixture;
                $crate::testing::laws::$law(&fixture).await
            }
        )*
    };
}
