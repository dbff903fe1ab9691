//! The key out of a request, and refusals into responses.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::http::{IdempotencyKey, KeyRejection, Problem};
use crate::model::Error;

/// A request without a key, or with one that cannot be used, is refused as a [`Problem`] (400).
impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = KeyRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, KeyRejection> {
        Self::from_headers(&parts.headers)?.ok_or(KeyRejection::Missing)
    }
}

/// A request without a key is as good as one that has one; a key that cannot be used is refused.
impl<S: Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = KeyRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, KeyRejection> {
        Self::from_headers(&parts.headers)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_response()
    }
}

impl IntoResponse for KeyRejection {
    fn into_response(self) -> Response {
        Problem::from(&self).into_response()
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::reported(&self).into_response()
    }
}
