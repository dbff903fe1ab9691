//! A key as the column holds it.

#[cfg(any(feature = "postgres", feature = "mysql", test))]
use crate::store::Key;

/// How many bytes of a key are kept as they are. Indexes hold no more than 2,700 bytes of an entry
/// in PostgreSQL, and 3,072 in InnoDB.
const LONGEST: usize = 700;

/// The key itself, and of one that is too long for an index its beginning and its hash. The byte
/// between them is in no UTF-8 text, so a shortened key is never another one.
#[cfg(any(feature = "postgres", feature = "mysql", test))]
pub(super) fn column(key: &Key) -> Vec<u8> {
    shortened(key.as_str())
}

/// The same for any text.
pub(super) fn shortened(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    if bytes.len() <= LONGEST {
        return bytes.to_vec();
    }
    let hash = blake3::hash(bytes);
    let mut short = bytes[..LONGEST - 1 - hash.as_bytes().len()].to_vec();
    short.push(0xff);
    short.extend_from_slice(hash.as_bytes());
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_short_and_differ() -> Result<(), crate::model::Error> {
        let short = Key::lock("n", &"k".repeat(500))?;
        assert_eq!(column(&short), short.as_str().as_bytes());
        let operation = crate::model::Operation::named("/".repeat(400));
        let long = |key| Key::call("n", &operation, None, key).map(|key| column(&key));
        let (one, other) = (long("a")?, long("b")?);
        assert_eq!((one.len(), other.len()), (LONGEST, LONGEST));
        assert_ne!(one, other);
        Ok(())
    }
}
