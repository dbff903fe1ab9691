//! Why a request was refused, and how HTTP says it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use oncely::ErrorKind;
use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PaymentError {
    #[error("the header Idempotency-Key is missing")]
    MissingKey,
    #[error("the order is paid for already")]
    AlreadyPaid,
    #[error(transparent)]
    Oncely(#[from] oncely::Error),
    #[error("the other side did not answer: {0}")]
    Outside(#[from] std::io::Error),
}

impl PaymentError {
    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MissingKey => (StatusCode::BAD_REQUEST, "missing_key"),
            Self::AlreadyPaid => (StatusCode::CONFLICT, "already_paid"),
            Self::Outside(_) => (StatusCode::BAD_GATEWAY, "outside"),
            Self::Oncely(error) => match error.kind() {
                ErrorKind::InvalidKey => (StatusCode::BAD_REQUEST, "invalid_key"),
                ErrorKind::InProgress => (StatusCode::CONFLICT, "in_progress"),
                ErrorKind::Interrupted => (StatusCode::CONFLICT, "interrupted"),
                ErrorKind::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key_reused"),
                ErrorKind::LockBusy => (StatusCode::LOCKED, "lock_busy"),
                _ if error.is_retryable() => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
                _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            },
        }
    }

    /// The key that was refused, and how many seconds to wait before the next try.
    fn details(&self) -> (Option<&str>, Option<u64>) {
        match self {
            Self::Oncely(error) => {
                let seconds = error.retry_after().map(|pause| pause.as_secs_f64().ceil() as u64);
                (error.key(), seconds)
            }
            Self::MissingKey | Self::AlreadyPaid | Self::Outside(_) => (None, None),
        }
    }
}

impl IntoResponse for PaymentError {
    fn into_response(self) -> Response {
        let (status, error) = self.status();
        let (key, retry_after) = self.details();
        let body = json!({ "error": error, "message": self.to_string(), "key": key });
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
