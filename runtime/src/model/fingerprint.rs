//! The canonical form of a call's arguments, and its hash.

use std::fmt;

use serde::Serialize;

use super::Error;

/// The hash of a call's arguments in their canonical form.
///
/// Equal on every platform and in every release that knows the algorithm
/// [`version`](Self::version), which is kept beside the digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    version: u8,
    digest: [u8; 32],
}

impl Fingerprint {
    /// The length of [`to_bytes`](Self::to_bytes).
    pub const BYTES: usize = 33;

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
}

/// `v1:` and the digest in hexadecimal.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}:", self.version)?;
        self.digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
