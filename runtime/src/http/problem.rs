//! Refusals as problem documents (RFC 9457), which programs can read.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::Serialize;

use super::key::KeyRejection;
use crate::model::{Error, ErrorKind};

/// A refusal as a client gets it: a status, and a document of the type `application/problem+json`.
///
/// Types are named `urn:oncely:problem:` and one of the names below. The names and their statuses
/// are stable; titles and details are for people.
///
/// | name | status | meaning | what a client does |
/// |---|---|---|---|
/// | `missing-key` | 400 | the request needs an `Idempotency-Key` | send one |
/// | `malformed-key` | 400 | it has one that cannot be used | send another |
/// | `in-progress` | 409, `Retry-After` | a request with this key still runs | the same again, later |
/// | `interrupted` | 409 | a request with this key stopped half-way; somebody has to look | ask |
/// | `answer-not-kept` | 409 | the request has been done, and its answer cannot be given again | read what it did |
/// | `key-reused` | 422 | the key stands for another request | a new key |
/// | `lock-busy` | 423, `Retry-After` | what the request works on is being worked on | the same again, later |
/// | `unavailable` | 503, `Retry-After` | nobody can tell whether the request is new, so it was not done, or not to its end | the same again, later |
/// | `internal` | 500 | the service is not set up right | nothing |
///
/// [`IdempotencyLayer`](super::IdempotencyLayer) has three more: `unknown-caller` (401),
/// `body-too-large` (413) and `body-unreadable` (400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    name: &'static str,
    status: StatusCode,
    title: &'static str,
    detail: String,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
}

/// How long a client waits where nobody knows how long it takes.
const A_WHILE: Duration = Duration::from_secs(1);

impl Problem {
    pub(super) fn new(name: &'static str, status: StatusCode, title: &'static str) -> Self {
        Self { name, status, title, detail: title.to_owned(), retry_after: None }
    }

    /// The problem of an error, which is reported if it is none of the client's: the client does not
    /// hear why, and somebody should.
    pub(super) fn reported(error: &Error) -> Self {
        let problem = Self::from(error);
        if problem.status.is_server_error() {
            let source = StdError::source(error).map(tracing::field::display);
            tracing::error!(%error, source, "request refused");
        }
        problem
    }

    /// The last part of the type: `key-reused`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The type: `urn:oncely:problem:key-reused`.
    pub fn type_uri(&self) -> String {
        format!("urn:oncely:problem:{}", self.name)
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What went wrong, the same for every problem of this type.
    pub fn title(&self) -> &str {
        self.title
    }

    /// What went wrong this time. It has no keys and nothing of the inside of the service.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// How long a client should wait before it sends the same again.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The response that says so, with a body of any type that is made of bytes.
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let document = Document {
            r#type: self.type_uri(),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        // Texts and a number always serialize.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body).into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(pause) = self.retry_after {
            // Whole seconds, and never too early.
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// The answer was there, and could not be read to its end.
pub(super) fn broken_off() -> Problem {
    let title = "the answer broke off in the service";
    Problem::new("internal", StatusCode::INTERNAL_SERVER_ERROR, title)
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let busy = |problem: Self| Self {
            retry_after: Some(error.retry_after().unwrap_or(A_WHILE)),
            ..problem
        };
        let unavailable =
            |title| busy(Self::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, title));
        match error.kind() {
            ErrorKind::InProgress => {
                let title = "a request with this idempotency key is still running";
                busy(Self::new("in-progress", StatusCode::CONFLICT, title))
            }
            ErrorKind::KeyReused => {
                let title = "the idempotency key was used before for another request";
                Self::new("key-reused", StatusCode::UNPROCESSABLE_ENTITY, title)
            }
            ErrorKind::Interrupted => {
                let title = "a request with this idempotency key stopped half-way";
                Self::new("interrupted", StatusCode::CONFLICT, title)
            }
            ErrorKind::Unreadable => {
                let title = "the request has been done, and its answer cannot be given again";
                Self::new("answer-not-kept", StatusCode::CONFLICT, title)
            }
            ErrorKind::LockBusy => {
                busy(Self::new("lock-busy", StatusCode::LOCKED, "somebody else is working on this"))
            }
            ErrorKind::InvalidKey => {
                let title = "the idempotency key cannot be used";
                Self::new("malformed-key", StatusCode::BAD_REQUEST, title)
            }
            ErrorKind::StoreUnavailable => unavailable("the service cannot take the request now"),
            ErrorKind::ShuttingDown => unavailable("the service is shutting down"),
            ErrorKind::LeaseLost => unavailable("the request was stopped before its end"),
            ErrorKind::Conflict => unavailable("the request met another one, and was not done"),
            ErrorKind::Indeterminate => unavailable("whether the request was done is not known"),
            ErrorKind::WouldDeadlock
            | ErrorKind::NotInstalled
            | ErrorKind::AlreadyInstalled
            | ErrorKind::InvalidConfiguration
            | ErrorKind::StoreUnsupported => {
                let title = "the service cannot do this";
                Self::new("internal", StatusCode::INTERNAL_SERVER_ERROR, title)
            }
        }
    }
}

impl From<&KeyRejection> for Problem {
    fn from(rejection: &KeyRejection) -> Self {
        let problem = match rejection {
            KeyRejection::Missing => {
                let title = "the request needs an idempotency key";
                Self::new("missing-key", StatusCode::BAD_REQUEST, title)
            }
            KeyRejection::Repeated
            | KeyRejection::Empty
            | KeyRejection::TooLong
            | KeyRejection::NotVisible
            | KeyRejection::NoString => {
                let title = "the idempotency key cannot be used";
                Self::new("malformed-key", StatusCode::BAD_REQUEST, title)
            }
        };
        Self { detail: rejection.to_string(), ..problem }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Problem;
    use crate::http::KeyRejection;
    use crate::model::{Error, ErrorKind};

    #[test]
    fn a_client_gets_nothing_of_the_inside() {
        let secret = "redis://:hunter2@db";
        for kind in [
            ErrorKind::InProgress,
            ErrorKind::LockBusy,
            ErrorKind::StoreUnavailable,
            ErrorKind::InvalidConfiguration,
        ] {
            let error = Error::new(kind, secret).with_source(secret);
            let response = Problem::from(&error).into_response::<Bytes>();
            let text = String::from_utf8_lossy(response.body()).into_owned();
            assert!(!text.contains("hunter2"), "{text}");
            assert_eq!(response.headers()["content-type"], "application/problem+json");
        }
    }

    #[test]
    fn a_key_that_is_missing_and_one_that_is_wrong_are_two_problems() {
        let missing = Problem::from(&KeyRejection::Missing);
        assert_eq!(missing.type_uri(), "urn:oncely:problem:missing-key");
        assert_eq!(Problem::from(&KeyRejection::TooLong).name(), "malformed-key");
        assert_eq!(missing.status(), 400);
    }
}
