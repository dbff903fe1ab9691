//! A response as it is stored: its head in one line of JSON, and its body behind it, byte for byte.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize, Serializer};

use super::headers::is_stored;
use crate::model::MAX_OUTCOME_BYTES;

/// What a response was, as far as it is given again.
///
/// ```text
/// {"status":201,"headers":[["location","/payments/7"]]}
/// {"id":7,"cents":1200}
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// How many headers a replay gets besides: two that say that it is one and for how long, and the length
/// of its body.
const ADDED: usize = 3;

#[derive(Deserialize)]
struct Head<'a> {
    status: u16,
    #[serde(borrow)]
    headers: Vec<Header<'a>>,
}

#[derive(Deserialize)]
struct Header<'a>(#[serde(borrow)] Cow<'a, str>, #[serde(borrow)] Cow<'a, str>);

/// The same, of a response that is at hand.
#[derive(Serialize)]
struct HeadOf<H> {
    status: u16,
    headers: H,
}

/// Those headers for which the second says so.
struct Those<'a, F>(&'a HeaderMap, F);

impl<F: Fn(&HeaderName, &HeaderValue) -> bool> Serialize for Those<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let those = self.0.iter().filter(|(name, value)| (self.1)(name, value));
        serializer.collect_seq(those.map(|(name, value)| (name.as_str(), text(value))))
    }
}

impl Recorded {
    /// Takes a header over, unless it is one that is not stored.
    pub(super) fn keep(&mut self, name: &HeaderName, value: &HeaderValue, asked: &[HeaderName]) {
        if is_stored(name, value, asked.contains(name)) {
            self.headers.append(name, value.clone());
        }
    }

    /// The stored form.
    pub(super) fn encode(&self) -> Result<Arc<[u8]>, serde_json::Error> {
        encode(self.status, &self.headers, |_, _| true, &self.body)
    }

    /// What was stored.
    pub(super) fn decode(stored: &[u8]) -> Result<Self, serde_json::Error> {
        let end = stored.iter().position(|byte| *byte == b'\n');
        let (head, body) = match end {
            Some(end) => (&stored[..end], &stored[end + 1..]),
            None => (stored, &[][..]),
        };
        let head: Head<'_> = serde_json::from_slice(head)?;
        let status = StatusCode::from_u16(head.status).map_err(unstorable)?;
        let mut headers = HeaderMap::with_capacity(head.headers.len() + ADDED);
        for Header(name, value) in head.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(unstorable)?;
            headers.append(name, value_of(&value)?);
        }
        Ok(Self { status, headers, body: Bytes::copy_from_slice(body) })
    }
}

/// The stored form of a response, with those of its headers for which `is_stored` says so.
pub(super) fn encode(
    status: StatusCode,
    headers: &HeaderMap,
    is_stored: impl Fn(&HeaderName, &HeaderValue) -> bool,
    body: &[u8],
) -> Result<Arc<[u8]>, serde_json::Error> {
    let head = HeadOf { status: status.as_u16(), headers: Those(headers, is_stored) };
    let mut stored = Vec::with_capacity(body.len() + 128);
    serde_json::to_writer(&mut stored, &head)?;
    stored.push(b'\n');
    stored.extend_from_slice(body);
    match stored.len() {
        0..=MAX_OUTCOME_BYTES => Ok(stored.into()),
        _ => Err(unstorable("the answer is larger than 1 MiB")),
    }
}

/// A value may have bytes beyond ASCII, of no known encoding: each is kept as one character.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    let beyond = || value.as_bytes().iter().copied().map(char::from).collect();
    value.to_str().map_or_else(|_| Cow::Owned(beyond()), Cow::Borrowed)
}

fn value_of(text: &str) -> Result<HeaderValue, serde_json::Error> {
    if text.is_ascii() {
        return HeaderValue::from_str(text).map_err(unstorable);
    }
    let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    HeaderValue::from_bytes(&bytes.map_err(unstorable)?).map_err(unstorable)
}

/// Why a response cannot be stored or read back.
pub(super) fn unstorable(why: impl std::fmt::Display) -> serde_json::Error {
    serde::ser::Error::custom(why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

    use http::header::{CONTENT_LENGTH, LOCATION, SET_COOKIE};
    use http::{HeaderName, HeaderValue, StatusCode};

    use super::Recorded;

    #[test]
    fn what_is_stored_comes_back_byte_for_byte() {
        let mut recorded = Recorded { status: StatusCode::CREATED, ..Recorded::default() };
        for (name, value) in [
            ("location", &b"/a b"[..]),
            ("etag", b"\"1\\2\""),
            ("x-bytes", b"caf\xe9 \x80"),
            ("x-bytes", b"again"),
        ] {
            let name = HeaderName::from_static(name);
            recorded.keep(&name, &HeaderValue::from_bytes(value).unwrap(), &[]);
        }
        recorded.body = (0..=255).chain([10, 10]).collect();
        let stored = recorded.encode().unwrap();
        assert!(stored.starts_with(b"{\"status\":201,"));
        assert_eq!(Recorded::decode(&stored).unwrap(), recorded);
    }

    #[test]
    fn secrets_are_stored_only_when_asked_for() {
        let mut recorded = Recorded::default();
        let mut sensitive = HeaderValue::from_static("secret");
        sensitive.set_sensitive(true);
        let plain = HeaderValue::from_static("plain");
        recorded.keep(&SET_COOKIE, &plain, &[]);
        recorded.keep(&LOCATION, &sensitive, &[]);
        recorded.keep(&CONTENT_LENGTH, &plain, &[CONTENT_LENGTH]);
        assert!(recorded.headers.is_empty());
        recorded.keep(&SET_COOKIE, &plain, &[SET_COOKIE]);
        recorded.keep(&LOCATION, &sensitive, &[LOCATION]);
        assert_eq!(recorded.headers.len(), 2);
    }

    #[test]
    fn what_is_too_large_or_no_record_says_so() {
        let body = vec![0; 1 << 20].into();
        let large = Recorded { body, ..Recorded::default() };
        assert!(large.encode().unwrap_err().to_string().contains("1 MiB"));
        for stored in [
            &b""[..],
            b"{}",
            b"{\"status\":99,\"headers\":[]}\n",
            b"{\"status\":200,\"headers\":[[\"a b\",\"c\"]]}\n",
            b"{\"status\":200,\"headers\":[[\"a\",\"\\n\"]]}\n",
            "{\"status\":200,\"headers\":[[\"a\",\"\u{2713}\"]]}\n".as_bytes(),
        ] {
            assert!(Recorded::decode(stored).is_err(), "{stored:?}");
        }
    }
}
