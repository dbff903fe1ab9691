//! The one door for generated code. Nothing in here is for people.

mod operation;
mod returns;

pub use operation::{method, operation};
pub use returns::{
    Codec, Errors, Fingerprintable, FromOncely, IsResult, Rememberable, Replays, Returns,
    Skippable, Storable, errors, replays, returns, skipped,
};
