//! Which keys of this process have a transaction: whoever else wants one waits at its gate, without a
//! connection, so that waiters never take the pool from the one they wait for.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Deadline;
use crate::model::{Fingerprint, Key};

/// How long a free gate may be left to somebody who was called and is not polled.
const CALLED: Duration = Duration::from_millis(250);

/// The gates of a coordinator, one for each key that somebody wants.
#[derive(Debug, Default)]
pub(crate) struct Gates(Mutex<HashMap<Key, Weak<Gate>>>);

#[derive(Debug, Default)]
struct Gate {
    /// The arguments of whoever went through; the gate is shut as long as they are here.
    inside: Mutex<Option<Option<Fingerprint>>>,
    left: Notify,
}

/// Keeps a gate shut.
#[derive(Debug)]
pub(super) struct Inside(Arc<Gate>);

impl Gates {
    /// Goes through the gate of `key`, or gives up at `deadline`. Each time that it is shut, `look` hears
    /// of the arguments of whoever is inside, and may say that there is no use in waiting.
    ///
    /// # Cancel safety
    /// Dropped, somebody else goes through.
    pub(super) async fn enter<E>(
        &self,
        key: &Key,
        fingerprint: Option<Fingerprint>,
        deadline: &Deadline,
        look: impl Fn(Option<Fingerprint>) -> Result<(), E>,
    ) -> Result<Option<Inside>, E> {
        let gate = self.gate(key);
        loop {
            let left = gate.left.notified();
            let inside = match &mut *gate.inside.lock() {
                free @ None => {
                    *free = Some(fingerprint);
                    return Ok(Some(Inside(Arc::clone(&gate))));
                }
                Some(inside) => *inside,
            };
            look(inside)?;
            if deadline.left().is_zero() {
                return Ok(None);
            }
            // Who was called may be somebody that nobody polls.
            let _ = timeout(deadline.left().min(CALLED), left).await;
        }
    }

    fn gate(&self, key: &Key) -> Arc<Gate> {
        let mut gates = self.0.lock();
        if let Some(gate) = gates.get(key).and_then(Weak::upgrade) {
            return gate;
        }
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Arc::default();
        gates.insert(key.clone(), Arc::downgrade(&gate));
        gate
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        *self.0.inside.lock() = None;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests may panic")]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn any(_: Option<Fingerprint>) -> Result<(), ()> {
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_nobody_polls_keeps_others_for_a_moment_only() {
        let (gates, key) = (Gates::default(), Key::lock("gate", "a").unwrap());
        let deadline = Deadline::new(Duration::from_secs(9));
        let first = gates.enter(&key, None, &deadline, any).await.unwrap();
        let mut parked = pin!(gates.enter(&key, None, &deadline, any));
        assert!(parked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let waits = gates.enter(&key, None, &deadline, any);
        let (_, second) = tokio::join!(async { drop(first) }, waits);
        assert!(second.unwrap().is_some());
        assert!(deadline.waited() <= CALLED * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gate_stays_shut_until_the_time_is_up() {
        let (gates, key) = (Gates::default(), Key::lock("gate", "a").unwrap());
        let deadline = Deadline::new(Duration::from_secs(1));
        let first = gates.enter(&key, None, &deadline, any).await.unwrap();
        assert!(gates.enter(&key, None, &deadline, any).await.unwrap().is_none());
        assert_eq!(deadline.waited().as_millis(), 1000);
        assert_eq!(gates.enter(&key, None, &deadline, |_| Err(7)).await.unwrap_err(), 7);
        drop(first);
        assert!(gates.enter(&key, None, &deadline, any).await.unwrap().is_some());
        assert_eq!(gates.0.lock().len(), 1);
    }
}
