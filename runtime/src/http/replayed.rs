//! Tells a client that its answer is a replay, where the handler's own type cannot say so.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::headers::mark_replayed;
use crate::lease::Frame;

tokio::task_local! {
    static NOTE: Note;
}

/// What the annotated functions of one request said.
#[derive(Clone, Default)]
struct Note(Arc<AtomicU8>);

const REPLAYED: u8 = 1;
const EXECUTED: u8 = 2;

/// Takes down whether a protected call was replayed. A call inside another one does not count: the
/// outer one ran.
pub(crate) fn note(replayed: bool) {
    if Frame::current().is_some() {
        return;
    }
    let _ = NOTE.try_with(|note| {
        note.0.fetch_or(if replayed { REPLAYED } else { EXECUTED }, Ordering::Relaxed);
    });
}

/// Puts `Idempotency-Replayed: true` on answers that come from replays: those of requests whose
/// every annotated function was replayed.
///
/// A handler that returns a `Response`, or headers, has it on its replays without this layer; a
/// `Json<T>` has no place for a header.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::Router;
/// use oncely::http::ReplayedLayer;
///
/// let router: Router = Router::new().layer(ReplayedLayer);
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayedLayer;

impl<S> Layer<S> for ReplayedLayer {
    type Service = Replayed<S>;

    fn layer(&self, inner: S) -> Replayed<S> {
        Replayed(inner)
    }
}

/// The service that [`ReplayedLayer`] makes.
#[derive(Clone, Debug)]
pub struct Replayed<S>(S);

impl<S, B, R> Service<Request<B>> for Replayed<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let note = Note::default();
        let answer = NOTE.scope(note.clone(), self.0.call(request));
        Box::pin(async move {
            let mut response = answer.await?;
            if note.0.load(Ordering::Relaxed) == REPLAYED {
                mark_replayed(response.headers_mut());
            }
            Ok(response)
        })
    }
}
