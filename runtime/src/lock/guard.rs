//! A lock as a value, for code whose critical section is not one function.

use std::time::Duration;

use crate::lease::{Held, Settled};
use crate::model::{Error, ErrorKind};
use crate::store::runtime;

/// A held lock. Dropped, it is given back in the background; [`release`](Self::release) waits for
/// that.
///
/// The lease is renewed while the guard lives. If it is lost all the same (the process was paused,
/// the store lost it), nothing stops the code that holds the guard: check
/// [`remaining`](Self::remaining), select on [`lost`](Self::lost), or hand the
/// [`fencing_token`](Self::fencing_token) to a resource that refuses older ones. Prefer
/// [`Lock::run`](crate::Lock::run), which drops the body.
///
/// A guard does not know who waits for it: taking the same lock again while holding it waits until
/// the time is up, where `run` answers
/// [`WouldDeadlock`](ErrorKind::WouldDeadlock) at once.
#[derive(Debug)]
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct LockGuard {
    held: Held,
}

impl LockGuard {
    pub(crate) fn new(held: Held) -> Self {
        held.group().hand_out();
        Self { held }
    }

    /// The key, of several the first.
    pub fn key(&self) -> &str {
        self.held.group().key().name()
    }

    /// The token to hand to a resource that refuses older ones; of several keys, the first one's.
    pub fn fencing_token(&self) -> u64 {
        self.held.group().fencing_token()
    }

    /// How long the lease still lasts by the local clock, renewals not counted. Zero once lost.
    pub fn remaining(&self) -> Duration {
        self.held.group().remaining()
    }

    /// Resolves when the lease is lost.
    ///
    /// # Cancel safety
    /// Safe: dropping it changes nothing.
    pub async fn lost(&self) {
        self.held.lost().await;
    }

    /// Gives the lock back and waits until the store knows.
    ///
    /// # Errors
    /// [`ErrorKind::LeaseLost`] if another had taken the lock;
    /// [`ErrorKind::StoreUnavailable`] if the store did not answer while the lease lasted, so that
    /// the lock stays occupied until it expires; [`ErrorKind::InvalidConfiguration`] outside of a
    /// tokio runtime, where the lock is given back as by a drop.
    ///
    /// # Cancel safety
    /// Dropped, the release goes on in the background.
    pub async fn release(self) -> Result<(), Error> {
        let key = self.held.group().key().clone();
        // Dropped, it goes on in the runtime seen last.
        runtime::current().map_err(|error| error.into_error().about(&key))?;
        match self.held.release().await {
            Settled::Applied => Ok(()),
            Settled::Lost => {
                let message = "the lock was lost before it was given back";
                Err(Error::new(ErrorKind::LeaseLost, message).about(&key))
            }
            Settled::Unknown(error) => Err(Error::from(error).about(&key)),
        }
    }
}
