//! What the attributes expand to. Not for direct use: it changes without notice.

mod returns;
mod run;

pub use self::returns::{Fingerprintable, FromOncely, IsResult, Rememberable, Skippable, Storable};
pub use self::run::{
    given, idempotent, installed, lock, named, run_idempotent, run_idempotent_detached,
    run_idempotent_detached_or_skip, run_idempotent_or_skip, run_lock, run_lock_or_skip,
};
pub use crate::coordinator::Binding;
pub use crate::model::{Arguments, OnInterrupted, OnStoreError, Operation, Piece};
