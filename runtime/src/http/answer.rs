//! What a service answered, read as far as it can be given again.

use std::sync::Arc;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderName, HeaderValue, Response};
use http_body::Body;
use http_body_util::BodyExt;

use super::headers::{IDEMPOTENCY_REPLAYABLE, StoreHeaders, is_stored};
use super::problem::broken_off;
use super::recorded::{Recorded, encode, unstorable};
use crate::idempotency::Codec;
use crate::model::MAX_OUTCOME_BYTES;

/// A response to the first request, or what was stored of it.
pub(super) enum Answer<R> {
    /// Its body has been read: the response as it was, and what is stored of it.
    Whole(Parts, Bytes, Arc<[u8]>),
    /// What was stored.
    Stored(Recorded),
    /// Passed through, because it streams or is too large.
    Passing(Response<R>),
    /// Its body broke off while it was read.
    Broken,
}

impl<R> Answer<R> {
    /// How answers are stored.
    pub(super) fn codec() -> Codec<Self> {
        let encode = |answer: &Self| match answer {
            Self::Whole(_, _, stored) => Ok(Arc::clone(stored)),
            Self::Stored(recorded) => recorded.encode(),
            Self::Passing(_) => Err(unstorable("the answer streams, or is larger than 1 MiB")),
            Self::Broken => Err(unstorable("the answer broke off")),
        };
        Codec::new(encode, |stored| Recorded::decode(stored).map(Self::Stored))
    }
}

impl<R: Body + From<Bytes>> Answer<R> {
    /// Reads a body that says how long it is. One that does not may never end.
    pub(super) async fn read(
        response: Response<R>,
        also_store: &[HeaderName],
        never_store: &[HeaderName],
    ) -> Self {
        let length = response.body().size_hint().exact();
        if length.is_none_or(|length| length > MAX_OUTCOME_BYTES as u64) {
            return Self::Passing(response);
        }
        let (parts, body) = response.into_parts();
        let Ok(body) = body.collect().await else {
            return Self::Broken;
        };
        let body = body.to_bytes();
        let asked = parts.extensions.get::<StoreHeaders>();
        let is_asked = |name: &HeaderName| {
            also_store.contains(name) || asked.is_some_and(|asked| asked.0.contains(name))
        };
        let is_stored = |name: &HeaderName, value: &HeaderValue| {
            !never_store.contains(name) && is_stored(name, value, is_asked(name))
        };
        match encode(parts.status, &parts.headers, is_stored, &body) {
            Ok(stored) => Self::Whole(parts, body, stored),
            // Together with its headers it is too large.
            Err(_) => Self::Passing(Response::from_parts(parts, body.into())),
        }
    }

    /// Whether a repeated request gets it too.
    pub(super) fn is_replayable(&self) -> bool {
        matches!(self, Self::Whole(..) | Self::Stored(_))
    }

    /// The answer as a response.
    pub(super) fn into_response(self) -> Response<R> {
        match self {
            Self::Whole(parts, body, _) => Response::from_parts(parts, body.into()),
            Self::Stored(recorded) => {
                let mut response = Response::new(recorded.body.into());
                *response.status_mut() = recorded.status;
                *response.headers_mut() = recorded.headers;
                response
            }
            Self::Passing(response) => not_replayable(response),
            Self::Broken => not_replayable(broken_off().into_response()),
        }
    }
}

fn not_replayable<R>(mut response: Response<R>) -> Response<R> {
    response.headers_mut().insert(&IDEMPOTENCY_REPLAYABLE, HeaderValue::from_static("false"));
    response
}
