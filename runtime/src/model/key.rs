//! The name of a record: unique in its store, and safe to compare byte for byte.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

use super::room::with_text;
use super::{Error, Operation};

/// The longest key or scope, in bytes.
pub(crate) const MAX_KEY_BYTES: usize = 512;
/// The longest operation name, in bytes.
pub(crate) const MAX_OPERATION_BYTES: usize = 512;
/// The longest namespace, in bytes.
pub(crate) const MAX_NAMESPACE_BYTES: usize = 64;

/// The name of a record in a store.
///
/// Locks are named `namespace/lock/key` and calls `namespace/call/operation/scope/key`. In every
/// segment but the last, `/` and `%` are percent-encoded, so two different lists of segments never
/// give one name. At most 64 + 512 + 512 + 512 bytes before encoding; any UTF-8 text, compared
/// byte for byte.
#[derive(Clone)]
pub struct Key {
    text: Arc<str>,
    /// Where the user's own key starts in `text`.
    own: u32,
    /// The hash of `text` in this process, so that the many maps it is looked up in do not compute
    /// it again.
    hash: u64,
}

impl Key {
    /// The record of a lock.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) if `key` is empty or longer than
    /// 512 bytes.
    pub fn lock(namespace: &str, key: &str) -> Result<Self, Error> {
        checked("key", key, MAX_KEY_BYTES)?;
        Ok(Self::after(key, |text| {
            push_segment(text, namespace);
            text.push_str("/lock/");
        }))
    }

    /// The record of a call: `operation` and `scope` keep equal keys of different functions and
    /// callers apart.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) if `key` or `operation` is empty,
    /// or any part is longer than 512 bytes.
    pub fn call(
        namespace: &str,
        operation: &Operation,
        scope: Option<&str>,
        key: &str,
    ) -> Result<Self, Error> {
        checked("key", key, MAX_KEY_BYTES)?;
        let operation = operation.name();
        checked("operation", operation, MAX_OPERATION_BYTES)?;
        let scope = scope.unwrap_or_default();
        if scope.len() > MAX_KEY_BYTES {
            return Err(too_long("scope", MAX_KEY_BYTES));
        }
        Ok(Self::after(key, |text| {
            push_segment(text, namespace);
            text.push_str("/call/");
            push_segment(text, operation);
            text.push('/');
            push_segment(text, scope);
            text.push('/');
        }))
    }

    /// The user's own `key`, after the segments that `push` writes.
    fn after(key: &str, push: impl FnOnce(&mut String)) -> Self {
        static HASHER: OnceLock<RandomState> = OnceLock::new();
        thread_local! {
            static NAME: Cell<String> = const { Cell::new(String::new()) };
        }

        with_text(&NAME, |text| {
            push(text);
            // At most three times the parts' limits, if every byte of them had to be encoded.
            let own = text.len() as u32;
            text.push_str(key);
            let hash = HASHER.get_or_init(RandomState::new).hash_one(text.as_str());
            Self { text: text.as_str().into(), own, hash }
        })
    }

    /// The whole name, as a store keeps it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which of `shards` parts of a store or a line the key belongs to. From bits of the hash that
    /// a map within a shard makes no use of.
    pub(crate) fn shard(&self, shards: usize) -> usize {
        (self.hash >> 40) as usize % shards
    }

    /// Whether this is the record of a lock: its segments show, because `/` separates nothing else.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn is_lock(&self) -> bool {
        self.text.split('/').nth(1) == Some("lock")
    }

    /// The user's own key: the last segment.
    pub fn name(&self) -> &str {
        &self.text[self.own as usize..]
    }
}

/// A map that takes a key's hash as it is.
pub(crate) type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<KeyHasher>>;

/// Hands on the one number that a [`Key`] hashes as.
#[derive(Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// A key writes no bytes; whatever else does is spread somehow.
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.own == other.own && self.text == other.text
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (&*self.text, self.own).cmp(&(&*other.text, other.own))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Appends `segment` so that no `/` of its own remains.
fn push_segment(text: &mut String, segment: &str) {
    if !segment.bytes().any(|byte| byte == b'/' || byte == b'%') {
        return text.push_str(segment);
    }
    for character in segment.chars() {
        match character {
            '/' => text.push_str("%2F"),
            '%' => text.push_str("%25"),
            other => text.push(other),
        }
    }
}

/// Whether `value` may be part of a name: not empty, and at most `limit` bytes long.
pub(super) fn checked(what: &str, value: &str, limit: usize) -> Result<(), Error> {
    if value.is_empty() {
        return Err(Error::invalid_key(value, format!("the {what} is empty")));
    }
    if value.len() > limit {
        return Err(too_long(what, limit));
    }
    Ok(())
}

/// Does not show the value: ten kilobytes of key help nobody in a log line.
fn too_long(what: &str, limit: usize) -> Error {
    let message = format!("the {what} has more than {limit} bytes; use a shorter one or its hash");
    Error::invalid_key("", message)
}
