//! The nouns: keys, leases, records, fingerprints and errors. No async, no I/O, no clock.

mod canonical;
mod error;
mod fingerprint;
mod key;
mod key_part;
mod lease;
mod operation;
mod policy;
mod record;

pub use error::{Error, ErrorKind};
pub use fingerprint::{Arguments, Fingerprint};
pub use key::{Key, MAX_KEY_BYTES, MAX_NAMESPACE_BYTES, MAX_OPERATION_BYTES};
pub use key_part::{KeyPart, KeyPartWriter, Piece, render};
pub use lease::{Acquired, AttemptId, Lease, LeaseRequest, Token, Update, Updated};
pub use operation::Operation;
pub use policy::{OnInterrupted, OnStoreError};
pub use record::{MAX_OUTCOME_BYTES, Occupant, RecordState, StoredOutcome};
