//! Why a request was refused, and how HTTP says it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub(crate) enum PaymentError {
    #[error("the order is paid for already")]
    AlreadyPaid,
    #[error(transparent)]
    Oncely(#[from] oncely::Error),
    #[error("the other side did not answer: {0}")]
    Outside(#[from] std::io::Error),
}

impl IntoResponse for PaymentError {
    fn into_response(self) -> Response {
        let title = self.to_string();
        let (status, name) = match self {
            Self::Oncely(error) => return error.into_response(),
            Self::AlreadyPaid => (StatusCode::CONFLICT, "already-paid"),
            Self::Outside(_) => (StatusCode::BAD_GATEWAY, "outside"),
        };
        let kind = format!("urn:payments:problem:{name}");
        let problem = json!({ "type": kind, "title": title, "status": status.as_u16() });
        let mut response = (status, Json(problem)).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, problem);
        response
    }
}
