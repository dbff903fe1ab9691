//! The key that a client gives a request.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderValue};

use super::headers::IDEMPOTENCY_KEY;
use crate::model::{AttemptId, CallKey, KeyPart, KeyPartWriter};

/// The `Idempotency-Key` of a request: 1 to 255 visible ASCII characters.
///
/// A client writes it as the string of a structured field, `Idempotency-Key: "8e03978e"`, which is
/// what the IETF's draft asks for, or bare, `Idempotency-Key: 8e03978e`, which is what most do; both
/// are the same key.
///
/// As an argument of a function under `#[idempotent]` that names no other key, it is the key, and
/// the other arguments are the fingerprint. An `Option` of it is the key where there is one; a call
/// without is like no other, and is not protected. Where the key comes from does not matter: the
/// id of a message is one as well.
///
/// ```
/// # #[cfg(feature = "macros")] {
/// use oncely::http::IdempotencyKey;
/// use oncely::idempotent;
///
/// #[idempotent]
/// async fn pay(key: IdempotencyKey, cents: u64) -> Result<String, oncely::Error> {
///     Ok(format!("charged {cents} cents for {key}"))
/// }
/// # }
/// ```
///
/// With the feature `axum` it is an extractor, and so is its `Option`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(Box<str>);

/// Why a request has no usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRejection {
    /// There is no `Idempotency-Key`.
    #[error("the header Idempotency-Key is missing")]
    Missing,
    /// There is more than one.
    #[error("the header Idempotency-Key stands more than once")]
    Repeated,
    /// It says nothing.
    #[error("the idempotency key is empty")]
    Empty,
    /// It has more than 255 characters.
    #[error("the idempotency key is longer than 255 characters")]
    TooLong,
    /// It has blanks, control characters or characters beyond ASCII.
    #[error("the idempotency key has characters other than visible ASCII")]
    NotVisible,
    /// It starts with a quotation mark and is not the string of a structured field.
    #[error("the header Idempotency-Key is no string of a structured field")]
    NoString,
}

impl IdempotencyKey {
    /// The longest key, in characters.
    pub const MAX_LENGTH: usize = 255;

    /// This key, as it is: without quotation marks around it.
    ///
    /// # Errors
    /// Unless it has 1 to 255 visible ASCII characters.
    pub fn new(key: impl Into<String>) -> Result<Self, KeyRejection> {
        let key = key.into();
        Self::check(&key)?;
        Ok(Self(key.into()))
    }

    fn check(key: &str) -> Result<(), KeyRejection> {
        match key.len() {
            0 => Err(KeyRejection::Empty),
            1..=Self::MAX_LENGTH if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(()),
            1..=Self::MAX_LENGTH => Err(KeyRejection::NotVisible),
            _ => Err(KeyRejection::TooLong),
        }
    }

    /// A key that nobody has used, for a request about to be sent.
    pub fn random() -> Self {
        // An attempt's id tells calls apart, and its hash does not tell who draws the next one.
        let id = blake3::hash(AttemptId::new().as_bytes()).to_hex();
        Self(id.as_str()[..32].into())
    }

    /// The key of a request with these headers; `None` if they have none.
    ///
    /// # Errors
    /// If what they have is not one key.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, KeyRejection> {
        Ok(Self::in_headers(headers)?.map(|key| Self(key.into())))
    }

    /// The same, where it stands.
    pub(super) fn in_headers(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, KeyRejection> {
        let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::in_header(value.as_bytes()).map(Some),
            (Some(_), Some(_)) => Err(KeyRejection::Repeated),
        }
    }

    /// The key as a header spells it, in quotation marks or bare.
    fn in_header(value: &[u8]) -> Result<Cow<'_, str>, KeyRejection> {
        let key = match value.trim_ascii() {
            [b'"', string @ ..] => unquoted(string)?,
            bare => Cow::Borrowed(bare),
        };
        let key = match key {
            Cow::Borrowed(key) => std::str::from_utf8(key).map(Cow::Borrowed).ok(),
            Cow::Owned(key) => String::from_utf8(key).map(Cow::Owned).ok(),
        };
        let key = key.ok_or(KeyRejection::NotVisible)?;
        Self::check(&key)?;
        Ok(key)
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as the IETF's draft has it in a header: in quotation marks.
    pub fn to_header_value(&self) -> HeaderValue {
        let mut text = String::with_capacity(self.0.len() + 2);
        text.push('"');
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
        // Visible ASCII is what a header may have; there is nothing else in a key.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// What stands between the quotation marks, of which the first has been read (RFC 9651, section
/// 4.2.5). Parameters may follow; none is defined, and unknown ones are to be ignored.
fn unquoted(string: &[u8]) -> Result<Cow<'_, [u8]>, KeyRejection> {
    // Nearly all are no more than this.
    if let [text @ .., b'"'] = string
        && !text.iter().any(|byte| matches!(byte, b'"' | b'\\'))
    {
        return Ok(Cow::Borrowed(text));
    }
    let mut text = Vec::with_capacity(string.len());
    let mut rest = string.iter().copied();
    loop {
        match rest.next() {
            Some(b'"') => break,
            Some(b'\\') => match rest.next() {
                Some(escaped @ (b'"' | b'\\')) => text.push(escaped),
                Some(_) | None => return Err(KeyRejection::NoString),
            },
            Some(byte) => text.push(byte),
            None => return Err(KeyRejection::NoString),
        }
    }
    match rest.find(|byte| *byte != b' ') {
        None | Some(b';') => Ok(Cow::Owned(text)),
        Some(_) => Err(KeyRejection::NoString),
    }
}

impl CallKey for IdempotencyKey {
    fn call_key(&self) -> Option<&str> {
        Some(&self.0)
    }
}

impl KeyPart for IdempotencyKey {
    fn write_key_part(&self, writer: &mut KeyPartWriter<'_>) {
        writer.push_str(&self.0);
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> Self {
        key.0.into()
    }
}

impl FromStr for IdempotencyKey {
    type Err = KeyRejection;

    fn from_str(key: &str) -> Result<Self, KeyRejection> {
        Self::new(key)
    }
}

impl AsRef<str> for IdempotencyKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use super::{IdempotencyKey, KeyRejection};

    fn read(value: &str) -> Result<String, KeyRejection> {
        IdempotencyKey::in_header(value.as_bytes()).map(|key| key.to_string())
    }

    #[test]
    fn a_quoted_and_a_bare_key_are_one_key() {
        for value in ["abc", "\"abc\"", "  abc ", "\"abc\" ", "\"abc\";v=1", "\"abc\" ;v"] {
            assert_eq!(read(value).as_deref(), Ok("abc"), "{value}");
        }
    }

    #[test]
    fn escapes_stand_for_what_they_escape() {
        assert_eq!(read(r#""a\"b\\c""#).as_deref(), Ok(r#"a"b\c"#));
        let key = IdempotencyKey::new(r#"a"b\c"#).unwrap();
        assert_eq!(key.to_header_value(), r#""a\"b\\c""#);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for (value, why) in [
            ("", KeyRejection::Empty),
            ("\"\"", KeyRejection::Empty),
            ("\"abc", KeyRejection::NoString),
            ("\"abc\"def", KeyRejection::NoString),
            ("\"abc\", \"def\"", KeyRejection::NoString),
            (r#""a\b""#, KeyRejection::NoString),
            (r#""abc\"#, KeyRejection::NoString),
            ("a b", KeyRejection::NotVisible),
            ("\"a b\"", KeyRejection::NotVisible),
            ("a\tb", KeyRejection::NotVisible),
            ("schlüssel", KeyRejection::NotVisible),
            ("\u{7f}", KeyRejection::NotVisible),
        ] {
            assert_eq!(read(value), Err(why), "{value:?}");
        }
        assert_eq!(read(&"k".repeat(255)).map(|key| key.len()), Ok(255));
        assert_eq!(read(&"k".repeat(256)), Err(KeyRejection::TooLong));
        let quoted = format!("\"{}\"", "k".repeat(255));
        assert_eq!(read(&quoted).map(|key| key.len()), Ok(255));
    }

    #[test]
    fn random_keys_differ_and_are_keys() {
        let keys: std::collections::HashSet<_> =
            (0..1_000).map(|_| IdempotencyKey::random()).collect();
        assert_eq!(keys.len(), 1_000);
        for key in keys {
            assert_eq!(read(key.to_header_value().to_str().unwrap()), Ok(key.to_string()));
        }
    }
}
