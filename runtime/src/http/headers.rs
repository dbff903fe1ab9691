//! The headers that this room reads and writes, and which of a response are stored.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

/// `Idempotency-Key`: the key that a client gives its request.
pub static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `Idempotency-Replayed: true` on an answer that an earlier request got first.
pub static IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// `Idempotency-Replayable: false` on an answer that a repeated request will not get.
pub static IDEMPOTENCY_REPLAYABLE: HeaderName = HeaderName::from_static("idempotency-replayable");

/// `Idempotency-Retention: 86400`: for how many more seconds the answer replays.
pub static IDEMPOTENCY_RETENTION: HeaderName = HeaderName::from_static("idempotency-retention");

/// Credentials: whoever reads the store, or replays the answer later, must not get them.
static SECRET: [HeaderName; 9] = [
    header::SET_COOKIE,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::WWW_AUTHENTICATE,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("authentication-info"),
    HeaderName::from_static("x-auth-token"),
    HeaderName::from_static("x-csrf-token"),
];

/// What belongs to one connection or one message, and is made anew for the next.
static OF_THE_MESSAGE: [HeaderName; 11] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("idempotency-replayed"),
    HeaderName::from_static("idempotency-replayable"),
    HeaderName::from_static("idempotency-retention"),
];

/// Headers of one response that are stored with it although they are secret, such as `Set-Cookie`.
///
/// An extension of the response:
///
/// ```
/// use http::header::SET_COOKIE;
/// use oncely::http::StoreHeaders;
///
/// # let mut response = http::Response::new(());
/// response.extensions_mut().insert(StoreHeaders::new([SET_COOKIE]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct StoreHeaders(pub(super) Vec<HeaderName>);

impl StoreHeaders {
    /// These headers.
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(names.into_iter().collect())
    }
}

/// Whether a header is stored with its answer: not if it is secret, unless it is asked for; not if it
/// belongs to the message. A value that is marked [sensitive](HeaderValue::is_sensitive) is secret.
pub(super) fn is_stored(name: &HeaderName, value: &HeaderValue, is_asked: bool) -> bool {
    if OF_THE_MESSAGE.contains(name) {
        return false;
    }
    is_asked || !(value.is_sensitive() || SECRET.contains(name))
}

/// Marks an answer as a replay.
pub(super) fn mark_replayed(headers: &mut HeaderMap) {
    headers.insert(&IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
}
