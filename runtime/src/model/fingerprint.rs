//! The canonical form of a call's arguments, and its hash.

use std::fmt;

use serde::Serialize;

use super::Error;
use super::canonical::{Canonical, CanonicalError};

/// The algorithm of this release: the canonical form of [`canonical`](super::canonical), and the
/// first 256 bits of BLAKE3.
const VERSION: u8 = 1;

/// The hash of a call's arguments in their canonical form.
///
/// Equal on every platform and in every release that knows the algorithm
/// [`version`](Self::version), which is kept beside the digest.
///
/// What counts is what serde sees of a value. These are equal:
///
/// - a reference, a box and the value itself; a newtype and what it wraps;
/// - integers of every width with the same value; an `f32` and the `f64` it widens to; any NaNs;
/// - a `char` and the string of it; a `Vec`, an array and a tuple of the same elements;
/// - maps whatever their order; a struct, whatever the order of its fields, and a map with their
///   names as keys.
///
/// These differ: an integer and a float, `0.0` and `-0.0`, `None` and `Some(None)` and `()`, text
/// and bytes, a variant and a string of its name, variants of different names or kinds. Nothing is
/// rounded.
///
/// A `HashSet` is a sequence to serde, in an order that differs from process to process: skip such
/// an argument, or pass a `BTreeSet`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    version: u8,
    digest: [u8; 32],
}

impl Fingerprint {
    /// The length of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 33;

    /// The fingerprint of one value.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) if the value does not serialize,
    /// or is nested more than 128 levels deep.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        let mut canonical = Canonical::new();
        value.serialize(&mut canonical).map_err(not_canonical)?;
        Ok(Self::of_canonical(&canonical))
    }

    fn of_canonical(canonical: &Canonical) -> Self {
        Self { version: VERSION, digest: *blake3::hash(canonical.bytes()).as_bytes() }
    }

    /// The algorithm that made the digest.
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// The version followed by the digest, as stores keep it.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [self.version; Self::BYTES];
        bytes[1..].copy_from_slice(&self.digest);
        bytes
    }

    /// The fingerprint with these bytes; `None` if they are not one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, digest) = bytes.split_first()?;
        Some(Self { version: *version, digest: digest.try_into().ok()? })
    }

    /// The digest alone, as 64 lower-case hexadecimal digits: short enough for a key.
    pub fn to_hex(&self) -> String {
        let digits = self.digest.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
    }
}

/// `v1:` and the digest in hexadecimal.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}:{}", self.version, self.to_hex())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The arguments of a call, taken one by one.
///
/// The result equals [`Fingerprint::of`] the tuple of the arguments: of `&(a, b, c)` for three, of
/// `&(a,)` for one, of `&()` for none.
#[must_use = "arguments have no effect until `finish` makes their fingerprint"]
pub struct Arguments {
    /// The first argument that failed ends the matter.
    sequence: Result<Canonical, Error>,
    empty: bool,
    /// What an argument that is the key of its call says: a key, or that there is none.
    name: Option<Option<String>>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self::new()
    }
}

impl Arguments {
    /// No arguments yet.
    pub fn new() -> Self {
        let mut canonical = Canonical::new();
        canonical.open_sequence();
        Self { sequence: Ok(canonical), empty: true, name: None }
    }

    /// These arguments and one more. If it has no fingerprint, [`finish`](Self::finish) says so.
    pub fn with<T: Serialize + ?Sized>(mut self, argument: &T) -> Self {
        self.empty = false;
        if let Ok(canonical) = &mut self.sequence
            && let Err(error) = canonical.nest(argument)
        {
            self.sequence = Err(not_canonical(error));
        }
        self
    }

    /// The same arguments, one of which is the key of the call, or says that it has none.
    pub(crate) fn named_by(mut self, key: Option<&str>) -> Self {
        self.name = Some(key.map(str::to_owned));
        self
    }

    /// What [`named_by`](Self::named_by) said.
    pub(crate) fn take_name(&mut self) -> Option<Option<String>> {
        self.name.take()
    }

    /// The fingerprint of the arguments, in their order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) if one of them does not serialize,
    /// or is nested more than 128 levels deep.
    pub fn finish(self) -> Result<Fingerprint, Error> {
        let mut canonical = self.sequence?;
        if self.empty {
            // Rust's tuple without elements is the unit to serde.
            return Fingerprint::of(&());
        }
        canonical.close();
        Ok(Fingerprint::of_canonical(&canonical))
    }
}

/// Shows nothing of the arguments, which may be secret.
impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arguments").finish_non_exhaustive()
    }
}

fn not_canonical(error: CanonicalError) -> Error {
    Error::invalid_key("", "the arguments cannot be fingerprinted").with_source(error)
}
