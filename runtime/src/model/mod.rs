//! The nouns: keys, leases, records, fingerprints and errors. No async, no I/O, no clock.

mod argument;
mod canonical;
mod error;
mod fingerprint;
mod key;
mod key_part;
mod lease;
mod operation;
mod policy;
mod record;
mod room;

pub use argument::{CallKey, Carrier, Carries, Fingerprintable, Unfingerprinted};
pub(crate) use canonical::survives_null;
pub(crate) use error::Failure;
pub use error::{Error, ErrorKind};
pub use fingerprint::{Arguments, Fingerprint};
pub use key::Key;
pub(crate) use key::{KeyHasher, KeyMap, MAX_KEY_BYTES, MAX_NAMESPACE_BYTES, MAX_OPERATION_BYTES};
pub use key_part::{KeyPart, KeyPartWriter, Piece};
pub(crate) use key_part::{render, with_rendered};
pub use lease::{Acquired, AttemptId, Lease, LeaseRequest, Token, Update, Updated};
pub use operation::Operation;
pub use policy::{OnInterrupted, OnStoreError};
pub(crate) use record::MAX_OUTCOME_BYTES;
pub use record::{Occupant, RecordState, StoredOutcome};
