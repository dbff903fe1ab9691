//! What annotated handlers give, and how it is put together again.

use axum::Json;
use axum::body::Body;
use axum::response::{Html, NoContent, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::coordinator::Idempotent;
use crate::http::Recorded;
use crate::http::headers::{IDEMPOTENCY_REPLAYED, StoreHeaders, is_stored, mark_replayed};
use crate::http::problem::broken_off;
use crate::http::recorded::unstorable;
use crate::idempotency::{AsResponse, Codec, Preparation, ResponseShape, Storable};
use crate::model::{Error, MAX_OUTCOME_BYTES, StoredOutcome};

/// A response, or a part of one, that can be stored and put together again.
///
/// Those of axum are: `Json<T>`, `Html<String>`, `String`, `Bytes`, `Vec<u8>`, `()`, `NoContent`,
/// `StatusCode` and `Response`; and pairs and triples that start with a `StatusCode`, a `HeaderMap`
/// or `[(HeaderName, String); N]` and end with one of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be replayed as a response",
    label = "no response that can be put together again",
    note = "return `Json<T>`, `String`, `Bytes`, `Html<String>`, `StatusCode` or `Response`, alone \
            or behind a `StatusCode`, a `HeaderMap` or `[(HeaderName, String); N]`",
    note = "`.into_response()` makes a `Response` of whatever it is"
)]
pub trait Replayable: Sized {
    /// What has to happen before it can be recorded, if anything.
    #[doc(hidden)]
    const PREPARATION: Option<Preparation<Self>> = None;

    /// Writes down what this part of the response is.
    ///
    /// # Errors
    /// If it cannot be brought back.
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error>;

    /// This part of the response that was written down.
    ///
    /// # Errors
    /// If it is not what was written down.
    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error>;
}

impl<T: Replayable> Storable<AsResponse> for T {
    fn codec() -> Codec<Self> {
        let encode = |value: &T| {
            let mut response = Recorded::default();
            value.record(&mut response)?;
            response.encode()
        };
        Codec::new(encode, |stored| T::recall(&mut Recorded::decode(stored)?))
    }

    fn preparation() -> Option<Preparation<Self>> {
        T::PREPARATION
    }
}

impl<R> Idempotent<R> {
    /// As [`resolve_with`](Self::resolve_with), for a handler: someone looked at what an interrupted
    /// request did, and decides that it stands, with `answer` as its answer.
    ///
    /// ```
    /// # use axum::Json;
    /// # use axum::http::StatusCode;
    /// # async fn example(oncely: oncely::Coordinator, key: &str) -> Result<(), oncely::Error> {
    /// let answer = (StatusCode::CREATED, Json("payment 7".to_owned()));
    /// oncely.idempotent("pay", key).resolve_with_response(&answer).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`resolve_with`](Self::resolve_with).
    pub async fn resolve_with_response<T: Replayable>(self, answer: &T) -> Result<bool, Error> {
        let mut response = Recorded::default();
        let stored = answer.record(&mut response).and_then(|()| response.encode());
        self.resolve_as(|key| match stored {
            Ok(stored) => Ok(StoredOutcome::Value(stored)),
            Err(error) => {
                let message = "the answer cannot be stored as an outcome";
                Err(Error::unreadable(key, message).with_source(error))
            }
        })
        .await
    }
}

impl<T> ResponseShape for Json<T> {}

impl<T: Storable> Replayable for Json<T> {
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        response.body = Bytes::from_owner(<T as Storable>::codec().encoded(&self.0)?);
        Ok(())
    }

    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
        <T as Storable>::codec().decoded(&response.body).map(Json)
    }
}

impl<T> ResponseShape for Html<T> {}

impl Replayable for Html<String> {
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        self.0.record(response)
    }

    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
        String::recall(response).map(Html)
    }
}

macro_rules! bodies {
    ($($body:ty: $record:expr, $recall:expr;)+) => {$(
        impl Replayable for $body {
            fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
                response.body = written(self, $record);
                Ok(())
            }

            fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
                $recall(response.body.clone())
            }
        }
    )+};
}

fn written<T>(body: &T, write: fn(&T) -> Bytes) -> Bytes {
    write(body)
}

bodies! {
    (): |_| Bytes::new(), |_| Ok(());
    NoContent: |_| Bytes::new(), |_| Ok(NoContent);
    Bytes: Bytes::clone, Ok;
    Vec<u8>: |body| Bytes::copy_from_slice(body), |body: Bytes| Ok(body.to_vec());
}

impl Replayable for String {
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        response.body = Bytes::copy_from_slice(self.as_bytes());
        Ok(())
    }

    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
        Self::from_utf8(response.body.to_vec()).map_err(unstorable)
    }
}

impl ResponseShape for NoContent {}
impl ResponseShape for Bytes {}
impl ResponseShape for StatusCode {}

impl Replayable for StatusCode {
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        response.status = *self;
        Ok(())
    }

    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
        Ok(response.status)
    }
}

/// Headers in front of a body. A replay marks itself among them.
impl Replayable for HeaderMap {
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        self.iter().for_each(|(name, value)| response.keep(name, value, &[]));
        Ok(())
    }

    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
        let mut headers = std::mem::take(&mut response.headers);
        mark_replayed(&mut headers);
        Ok(headers)
    }
}

/// The value of a header in `[(HeaderName, V); N]`.
pub trait ReplayableHeader: Sized {
    /// The value as it is written.
    ///
    /// # Errors
    /// If it is none that a header can have.
    fn to_value(&self) -> Result<HeaderValue, serde_json::Error>;

    /// The value as it was written.
    ///
    /// # Errors
    /// If it is none of this type.
    fn from_value(value: &HeaderValue) -> Result<Self, serde_json::Error>;
}

impl ReplayableHeader for HeaderValue {
    fn to_value(&self) -> Result<HeaderValue, serde_json::Error> {
        Ok(self.clone())
    }

    fn from_value(value: &HeaderValue) -> Result<Self, serde_json::Error> {
        Ok(value.clone())
    }
}

impl ReplayableHeader for String {
    fn to_value(&self) -> Result<HeaderValue, serde_json::Error> {
        HeaderValue::from_str(self).map_err(unstorable)
    }

    fn from_value(value: &HeaderValue) -> Result<Self, serde_json::Error> {
        value.to_str().map(str::to_owned).map_err(unstorable)
    }
}

/// As many headers come back as there were: in the place of one that is not stored, the mark of a
/// replay.
impl<V: ReplayableHeader, const N: usize> Replayable for [(HeaderName, V); N] {
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        for (name, value) in self {
            let value = value.to_value()?;
            if is_stored(name, &value, false) {
                response.headers.append(name, value);
            } else {
                response.headers.append(&IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
            }
        }
        Ok(())
    }

    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
        let headers = response.headers.iter();
        let headers: Result<Vec<_>, _> =
            headers.map(|(name, value)| Ok((name.clone(), V::from_value(value)?))).collect();
        let headers = <[_; N]>::try_from(headers?);
        headers.map_err(|found| unstorable(format!("{} headers, not {N}", found.len())))
    }
}

impl<R> ResponseShape for (StatusCode, R) {}
impl<R> ResponseShape for (HeaderMap, R) {}
impl<R, V, const N: usize> ResponseShape for ([(HeaderName, V); N], R) {}
impl<R, H> ResponseShape for (StatusCode, H, R) {}

/// A part in front, and the rest of the response.
impl<H: Replayable, R: Replayable> Replayable for (H, R) {
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        self.1.record(response)?;
        self.0.record(response)
    }

    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
        Ok((H::recall(response)?, R::recall(response)?))
    }
}

impl<H: Replayable, R: Replayable> Replayable for (StatusCode, H, R) {
    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        self.2.record(response)?;
        self.1.record(response)?;
        self.0.record(response)
    }

    fn recall(response: &mut Recorded) -> Result<Self, serde_json::Error> {
        let (status, headers) = (StatusCode::recall(response)?, H::recall(response)?);
        Ok((status, headers, R::recall(response)?))
    }
}

impl ResponseShape for Response {}

/// The bytes of a body that has been read, beside the body that still gives them.
#[derive(Clone)]
struct Read(Bytes);

impl Replayable for Response {
    const PREPARATION: Option<Preparation<Self>> = Some(|response| Box::pin(read(response)));

    fn record(&self, response: &mut Recorded) -> Result<(), serde_json::Error> {
        let Some(Read(body)) = self.extensions().get() else {
            return Err(unstorable("the answer streams, or is larger than 1 MiB"));
        };
        response.body = body.clone();
        response.status = self.status();
        let asked = self.extensions().get::<StoreHeaders>().map_or(&[][..], |asked| &asked.0);
        self.headers().iter().for_each(|(name, value)| response.keep(name, value, asked));
        Ok(())
    }

    fn recall(recorded: &mut Recorded) -> Result<Self, serde_json::Error> {
        let mut response = Response::new(Body::from(std::mem::take(&mut recorded.body)));
        *response.status_mut() = recorded.status;
        *response.headers_mut() = std::mem::take(&mut recorded.headers);
        mark_replayed(response.headers_mut());
        Ok(response)
    }
}

/// Reads a body that says how long it is, while the call still holds its key. One that does not may
/// never end, and goes on to the caller as it is.
async fn read(response: Response) -> Response {
    let length = response.body().size_hint().exact();
    if length.is_none_or(|length| length > MAX_OUTCOME_BYTES as u64) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    match body.collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            parts.extensions.insert(Read(body.clone()));
            Response::from_parts(parts, Body::from(body))
        }
        Err(error) => {
            tracing::error!(%error, "the body of an answer broke off");
            broken_off().into_response()
        }
    }
}
