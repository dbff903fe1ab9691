//! What the attributes expand to. Not for direct use: it changes without notice.

mod joined;
mod operation;
mod returns;
mod run;

pub use self::joined::{
    BegunCall, JoinedCall, JoinedLock, Next, Runner, begin_idempotent, join_idempotent, join_lock,
    pool, transaction,
};
pub use self::operation::{method, operation};
pub use self::returns::{
    Arguments, Errors, Fingerprintable, FromOncely, IsResult, Rememberable, Replays, Returns,
    Skippable, Storable, errors, errors_generic, replays, replays_generic, returns,
    returns_generic, skipped,
};
pub use self::run::{
    given, idempotent, installed, lock, named, run_idempotent, run_idempotent_detached, run_lock,
};
pub use crate::coordinator::Binding;
pub use crate::idempotency::{Codec, ErrorPolicy, IsFinal};
pub use crate::model::{KeyPart, KeyPartWriter, OnInterrupted, OnStoreError, Operation, Piece};
