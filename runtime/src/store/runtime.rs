//! The tokio runtime that an operation runs in, and that it has timers.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::time::Duration;

use tokio::runtime::{Handle, Id, TryCurrentError};
use tokio::time::sleep;

use super::{StoreError, StoreErrorKind};
use crate::model::{Error, ErrorKind};

/// Why nothing can be waited for here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoRuntime {
    #[error("oncely runs on tokio: call this from within a tokio runtime")]
    Outside(#[from] TryCurrentError),
    #[error("this tokio runtime has no timers: build it with `enable_time` or `enable_all`")]
    Timeless,
}

/// The current runtime; timers panic where there is none, and where it has none.
pub(crate) fn current() -> Result<Handle, NoRuntime> {
    thread_local! {
        /// The runtime last seen by this thread, and whether it has timers.
        static SEEN: Cell<Option<(Id, bool)>> = const { Cell::new(None) };
    }

    let runtime = Handle::try_current()?;
    let id = runtime.id();
    let has_timers = match SEEN.get() {
        Some((seen, has_timers)) if seen == id => has_timers,
        _ => {
            let has_timers = can_make_a_timer();
            SEEN.set(Some((id, has_timers)));
            has_timers
        }
    };
    if has_timers { Ok(runtime) } else { Err(NoRuntime::Timeless) }
}

/// A runtime does not say whether it has timers: to make one is the only way to ask.
#[cold]
fn can_make_a_timer() -> bool {
    catch_unwind(|| drop(sleep(Duration::ZERO))).is_ok()
}

impl NoRuntime {
    /// No `From`, which the compiler would suggest to users.
    pub(crate) fn into_error(self) -> Error {
        Error::new(ErrorKind::InvalidConfiguration, self.to_string()).with_source(self)
    }
}

impl From<NoRuntime> for StoreError {
    fn from(error: NoRuntime) -> Self {
        Self::new(StoreErrorKind::Unsupported, error.to_string())
    }
}
