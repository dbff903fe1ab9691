//! What the attributes expand to. Not for direct use: it changes without notice.

mod arguments;
mod in_place;
mod joined;
mod operation;
mod returns;
mod run;

pub use self::arguments::{
    Argument, Arguments, Carriers, Constant, Counted, Keys, PartOf, Varies, Varying,
};
pub use self::joined::{
    BegunCall, JoinedCall, JoinedLock, Next, Runner, begin_idempotent, join_idempotent, join_lock,
    pool, transaction,
};
pub use self::operation::{method, operation};
pub use self::returns::{
    Errors, FromOncely, IsResult, Rememberable, Replays, Returned, Returns, Skippable, Stored,
    StoredBy, Value, errors, errors_generic, replays, replays_generic, returns, returns_generic,
    skipped,
};
pub use self::run::{
    given, idempotent, installed, lock, named, run_idempotent, run_idempotent_detached, run_lock,
};
pub use crate::coordinator::Binding;
pub use crate::idempotency::{
    AsResponse, AsValue, Codec, ErrorPolicy, IsFinal, Preparation, ResponseShape, Storable,
};
pub use crate::model::{
    CallKey, Carrier, Carries, Fingerprintable, KeyPart, KeyPartWriter, OnInterrupted,
    OnStoreError, Operation, Piece, Unfingerprinted,
};
