//! The other side of the wire: a client whose requests are safe to send again.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::sleep;
use tower_layer::Layer;
use tower_service::Service;

use super::headers::IDEMPOTENCY_KEY;
use super::key::IdempotencyKey;

/// Sends requests again until they are answered, with one key.
///
/// A `POST` or `PATCH` without an `Idempotency-Key` is given one of its own. It is sent again, with
/// the same key, when the connection fails, on 503, and on 409, 423, 425 and 429 that come with a
/// `Retry-After`: what a service says while it is busy with this request or cannot take it now. All
/// other answers are answers. Requests of other methods are left without a key, and those whose
/// method is idempotent by itself are sent again all the same.
///
/// For clients that are tower services, such as those of hyper-util and reqwest. A body is read
/// into memory, to be there for the next try.
///
/// ```
/// use std::time::Duration;
///
/// use oncely::http::Retry;
/// use tower_layer::Layer;
///
/// # let client = ();
/// let client = Retry::new().tries(6).longest_pause(Duration::from_secs(10)).layer(client);
/// ```
///
/// # Errors
/// The service's own, when the last try failed as well.
///
/// # Cancel safety
/// Dropped, no further try is made; the service may have done the request all the same.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    tries: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self::new()
    }
}

impl Retry {
    /// At most 5 tries, with pauses from 100 ms to 30 s.
    pub fn new() -> Self {
        Self {
            tries: 5,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
        }
    }

    /// How often a request is sent at most, the first time counted.
    pub fn tries(self, tries: u32) -> Self {
        Self { tries: tries.max(1), ..self }
    }

    /// How long to wait before the second try; the pause doubles from try to try, and varies by a
    /// half so that clients which failed together do not come back together.
    pub fn first_pause(self, pause: Duration) -> Self {
        Self { first_pause: pause, ..self }
    }

    /// The longest pause, whatever a service asks for with `Retry-After`.
    pub fn longest_pause(self, pause: Duration) -> Self {
        Self { longest_pause: pause, ..self }
    }

    /// How long to wait after the try of this number: as long as the service asked for, and not all
    /// clients equally long.
    fn pause(&self, tried: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << tried.saturating_sub(1).min(16));
        let varied = doubled.mul_f64(0.5 + fastrand::f64());
        asked.unwrap_or_default().saturating_add(varied).min(self.longest_pause)
    }
}

impl<S> Layer<S> for Retry {
    type Service = Retrying<S>;

    fn layer(&self, inner: S) -> Retrying<S> {
        Retrying { inner, retry: *self }
    }
}

/// The client that [`Retry`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Retrying<S> {
    inner: S,
    retry: Retry,
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<S, B, R> Service<Request<B>> for Retrying<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
    B: Body<Error: Into<BoxError>> + From<Bytes> + Send + 'static,
    B::Data: Send,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let next = self.inner.clone();
        let inner = mem::replace(&mut self.inner, next);
        Box::pin(send(self.retry, inner, request))
    }
}

async fn send<S, B, R>(
    retry: Retry,
    mut inner: S,
    request: Request<B>,
) -> Result<Response<R>, BoxError>
where
    S: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>>,
    B: Body<Error: Into<BoxError>> + From<Bytes>,
{
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(Into::into)?.to_bytes();
    if needs_key(&parts.method) && !parts.headers.contains_key(&IDEMPOTENCY_KEY) {
        let key = IdempotencyKey::random().to_header_value();
        parts.headers.insert(&IDEMPOTENCY_KEY, key);
    }
    let mut tried = 0;
    loop {
        tried += 1;
        let request = Request::from_parts(parts.clone(), B::from(body.clone()));
        let answer = inner.call(request).await;
        let asked = match &answer {
            _ if tried >= retry.tries => return answer.map_err(Into::into),
            Ok(response) if is_answer(response) => return answer.map_err(Into::into),
            Ok(response) => asked_pause(response.headers()),
            Err(_) => None,
        };
        drop(answer);
        sleep(retry.pause(tried, asked)).await;
        poll_fn(|context| inner.poll_ready(context)).await.map_err(Into::into)?;
    }
}

/// Whether a method does not promise by itself that doing it twice is doing it once.
fn needs_key(method: &Method) -> bool {
    !method.is_idempotent()
}

/// Whether a response is more than a request to come back.
fn is_answer<R>(response: &Response<R>) -> bool {
    match response.status() {
        StatusCode::SERVICE_UNAVAILABLE => false,
        StatusCode::CONFLICT
        | StatusCode::LOCKED
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => !response.headers().contains_key(RETRY_AFTER),
        _ => true,
    }
}

/// How long the service asks to stay away, where it counts seconds; a date is as good as nothing,
/// as the two clocks need not agree.
fn asked_pause(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Retry;

    #[test]
    fn pauses_double_vary_and_end() {
        let retry = Retry::new().first_pause(Duration::from_millis(100));
        for (tried, least, most) in [(1, 50, 150), (2, 100, 300), (4, 400, 1_200)] {
            for _ in 0..100 {
                let pause = retry.pause(tried, None).as_millis();
                assert!((least..=most).contains(&pause), "{pause} ms after {tried}");
            }
        }
        assert_eq!(retry.pause(60, None), Duration::from_secs(30));
        assert_eq!(retry.pause(1, Some(Duration::MAX)), Duration::from_secs(30));
        let asked = retry.pause(1, Some(Duration::from_secs(2)));
        assert!(asked > Duration::from_secs(2) && asked < Duration::from_secs(3));
    }
}
