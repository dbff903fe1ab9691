//! Orders, in memory: the shop's own business, which knows nothing of retries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long the warehouse takes to answer.
const TRAVEL: Duration = Duration::from_millis(150);

#[derive(Clone, Debug, Default)]
pub(crate) struct Orders(Arc<Mutex<Vec<Order>>>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: usize,
    pub(crate) user: String,
    pub(crate) article: String,
    pub(crate) pieces: u32,
    pub(crate) is_cancelled: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NewOrder {
    pub(crate) article: String,
    pub(crate) pieces: u32,
}

/// A change that is not the same when it is made twice.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) more_pieces: u32,
}

impl Orders {
    pub(crate) async fn place(&self, user: &str, new: NewOrder) -> Order {
        tokio::time::sleep(TRAVEL).await;
        let mut orders = self.all();
        let (id, user) = (orders.len() + 1, user.to_owned());
        let order =
            Order { id, user, article: new.article, pieces: new.pieces, is_cancelled: false };
        orders.push(order.clone());
        order
    }

    /// The order of this user, changed; `None` if they have no such order.
    pub(crate) fn change(
        &self,
        user: &str,
        id: usize,
        how: impl FnOnce(&mut Order),
    ) -> Option<Order> {
        let mut orders = self.all();
        let order = orders.iter_mut().find(|order| order.id == id && order.user == user)?;
        how(order);
        Some(order.clone())
    }

    pub(crate) fn of(&self, user: &str) -> Vec<Order> {
        self.all().iter().filter(|order| order.user == user).cloned().collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Order>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
