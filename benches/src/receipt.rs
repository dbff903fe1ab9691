//! What the benchmarked calls give: 200 bytes as JSON.

use serde::{Deserialize, Serialize};

/// An outcome such as a service has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    number: u64,
    customer: String,
    cents: u64,
    note: String,
}

/// The length of a [`Receipt`] as JSON.
pub(crate) const BYTES: usize = 200;

impl Receipt {
    pub(crate) fn new() -> Self {
        Self {
            number: 1_000_000,
            customer: "Ada Lovelace, Ockham Park, Surrey".to_owned(),
            cents: 129_900,
            note: "Delivered to the gatekeeper on the second attempt; signed for, paid in full."
                .to_owned()
                + "........",
        }
    }
}
