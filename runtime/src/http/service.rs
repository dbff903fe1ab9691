//! The way of one request through the layer.

use std::error::Error as StdError;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Serialize, Serializer};
use tower_service::Service;
use tracing::Instrument;

use super::answer::Answer;
use super::headers::{IDEMPOTENCY_RETENTION, mark_replayed};
use super::key::{IdempotencyKey, KeyRejection};
use super::layer::Settings;
use super::problem::Problem;
use crate::idempotency::{ErrorPolicy, Given, Outcomes};
use crate::model::Failure;

/// The service that [`IdempotencyLayer`](super::IdempotencyLayer) makes.
///
/// Bodies of requests and responses are of any type that can be made of bytes, such as those of axum
/// and reqwest, or `http_body_util::Full<Bytes>`.
#[derive(Clone, Debug)]
pub struct Idempotency<S> {
    pub(super) inner: S,
    pub(super) settings: Arc<Settings>,
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<S, B, R> Service<Request<B>> for Idempotency<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body<Error: Into<BoxError>> + From<Bytes> + Send + 'static,
    B::Data: Send,
    R: Body + From<Bytes> + Send + 'static,
    R::Data: Send,
    R::Error: Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.settings.methods.contains(request.method()) {
            return Box::pin(self.inner.call(request));
        }
        // The clone has not been asked whether it is ready; the one that has been goes along.
        let next = self.inner.clone();
        let inner = mem::replace(&mut self.inner, next);
        let (parts, body) = request.into_parts();
        Box::pin(answer(Arc::clone(&self.settings), inner, parts, body))
    }
}

/// Why a request has no answer that is stored.
enum Unstored<R, E> {
    /// Its status says that nothing was done.
    Passed(Response<R>),
    /// The service itself failed.
    Failed(E),
}

async fn answer<S, B, R>(
    settings: Arc<Settings>,
    mut inner: S,
    parts: Parts,
    body: B,
) -> Result<Response<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body<Error: Into<BoxError>> + From<Bytes> + Send + 'static,
    R: Body + From<Bytes> + Send + 'static,
    R::Data: Send,
    R::Error: Send,
{
    let key = match IdempotencyKey::in_headers(&parts.headers) {
        Ok(Some(key)) => key,
        Ok(None) if settings.required => return Ok(refused(&KeyRejection::Missing)),
        Ok(None) => return inner.call(Request::from_parts(parts, body)).await,
        Err(rejection) => return Ok(refused(&rejection)),
    };
    let Some(caller) = settings.caller(&parts) else {
        let title = "who sends the request is not known, so its key says nothing";
        return Ok(Problem::new("unknown-caller", StatusCode::UNAUTHORIZED, title).into_response());
    };
    let body = match read(&parts, body, settings.body_limit).await {
        Ok(body) => body,
        Err(problem) => return Ok(problem.into_response()),
    };
    let call = settings.call(&key, &caller).fingerprint(&(
        parts.method.as_str(),
        address(&parts),
        AsBytes(&body),
    ));
    let request = Request::from_parts(parts, B::from(body));
    let outcomes = Outcomes { values: Answer::codec(), errors: ErrorPolicy::Forget };
    let (retention, is_detached) = (settings.retention, settings.detached);
    // Boxed at once: what follows hands it from step to step.
    let work = Box::pin(
        async move {
            match inner.call(request).await {
                Ok(response) if (settings.stores)(response.status()) => {
                    Ok(Answer::read(response, &settings.also_store, &settings.never_store).await)
                }
                Ok(response) => Err(Unstored::Passed(response)),
                Err(error) => Err(Unstored::Failed(error)),
            }
        }
        .in_current_span(),
    );
    let outcome = match is_detached {
        true => Box::pin(call.run_detached_as(outcomes, |_| work)).await,
        false => match call.planned() {
            Ok(planned) => Box::pin(planned.run(&outcomes, |_| work)).await,
            Err(error) => Err(error.into()),
        },
    };
    match outcome {
        Ok(Given::Now(answer)) if answer.is_replayable() => {
            Ok(tell(answer.into_response(), retention))
        }
        Ok(Given::Now(answer)) => Ok(answer.into_response()),
        Ok(Given::Earlier { value, since }) => {
            let mut response = value.into_response();
            mark_replayed(response.headers_mut());
            Ok(tell(response, retention.saturating_sub(since.age())))
        }
        Err(Failure::Body(unstored) | Failure::Replayed(unstored)) => match unstored {
            Unstored::Passed(response) => Ok(response),
            Unstored::Failed(error) => Err(error),
        },
        Err(Failure::Oncely(error)) => Ok(Problem::reported(&error).into_response()),
    }
}

fn refused<R: From<Bytes>>(rejection: &KeyRejection) -> Response<R> {
    Problem::from(rejection).into_response()
}

/// Says for how long the answer replays.
fn tell<R>(mut response: Response<R>, left: Duration) -> Response<R> {
    let seconds = HeaderValue::from(left.as_secs());
    response.headers_mut().insert(&IDEMPOTENCY_RETENTION, seconds);
    response
}

/// The body of a request, as far as it may be.
async fn read<B>(parts: &Parts, body: B, limit: usize) -> Result<Bytes, Problem>
where
    B: Body<Error: Into<BoxError>>,
{
    let too_large = || {
        let title = "the body is larger than this service takes";
        Problem::new("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, title)
    };
    // Said beforehand, it need not be sent at all.
    let said =
        parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => {
            let title = "the body of the request broke off";
            Err(Problem::new("body-unreadable", StatusCode::BAD_REQUEST, title))
        }
    }
}

/// Where the request goes: path and query, as the client wrote them.
fn address(parts: &Parts) -> &str {
    #[cfg(feature = "axum")]
    let uri = parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
    #[cfg(not(feature = "axum"))]
    let uri = &parts.uri;
    uri.path_and_query().map_or("", |address| address.as_str())
}

/// Bytes as bytes, and not as a sequence of numbers.
struct AsBytes<'a>(&'a [u8]);

impl Serialize for AsBytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}
