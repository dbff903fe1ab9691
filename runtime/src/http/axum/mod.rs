//! axum: the key as an extractor, refusals as responses, and what handlers take and give.

mod arguments;
mod extract;
mod results;

pub use self::results::{Replayable, ReplayableHeader};
