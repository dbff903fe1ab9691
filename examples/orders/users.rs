//! Who calls: a token becomes a user, or the request goes no further.

use axum::extract::{FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use oncely::Unfingerprinted;

/// The user of a request. Which session they are in does not make it another request.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
}

impl Unfingerprinted for User {}

/// Puts the user into the request. A real service would check the token.
pub(crate) async fn authenticate(mut request: Request, next: Next) -> Result<Response, StatusCode> {
    let token = request.headers().get(AUTHORIZATION).and_then(|token| token.to_str().ok());
    let name =
        token.and_then(|token| token.strip_prefix("Bearer ")).ok_or(StatusCode::UNAUTHORIZED)?;
    let user = User { name: name.to_owned() };
    request.extensions_mut().insert(user);
    Ok(next.run(request).await)
}

/// The name of the user, for those who keep users apart.
pub(crate) fn name_of(request: &Parts) -> Option<String> {
    request.extensions.get::<User>().map(|user| user.name.clone())
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or(StatusCode::UNAUTHORIZED)
    }
}
