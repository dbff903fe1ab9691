//! The eleven laws, each a function that a store passes or is told why not.

mod bench;
mod both_ways;
mod bytes;
mod fencing;
mod interruption;
mod losses;
mod taking;
mod time;

pub use self::bytes::exact;
pub use self::fencing::{fenced, rising, successor_only};
pub use self::interruption::held;
pub use self::losses::{droppable, repeatable};
pub use self::taking::{all_or_none, exclusive};
pub use self::time::{final_, stores_clock};
