//! How often something really happened to an order.

use std::fmt;

use crate::ledger::{Entry, Event};

#[derive(Clone, Copy, Debug)]
pub(super) struct Happened {
    /// How often the card processor was asked; a processor that knows the key takes nothing.
    pub(super) asked: usize,
    pub(super) charged: usize,
    pub(super) transferred: usize,
    pub(super) shipped: usize,
}

impl Happened {
    pub(super) fn to(order_id: &str, ledger: &[Entry]) -> Self {
        let count = |event: Event| {
            ledger.iter().filter(|entry| entry.order_id == order_id && entry.event == event).count()
        };
        let charged = count(Event::Charged);
        Self {
            asked: charged + count(Event::Recognized),
            charged,
            transferred: count(Event::Transferred),
            shipped: count(Event::Shipped),
        }
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.asked, "asked"),
            (self.charged, "charged"),
            (self.transferred, "transferred"),
            (self.shipped, "shipped"),
        ];
        let counts = counts.into_iter().filter(|&(times, _)| times > 0);
        let counts: Vec<_> = counts.map(|(times, what)| format!("{what} {times}x")).collect();
        match counts.is_empty() {
            true => f.write_str("nothing"),
            false => f.write_str(&counts.join(", ")),
        }
    }
}
