//! A client that speaks HTTP/1.1 or HTTP/2 and shows all of an answer.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oncely_tests::soon;

use crate::service::Server;

pub(crate) struct Client {
    pool: Pool<HttpConnector, Body>,
    at: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn http1(server: &Server) -> Self {
        Self::new(server, false)
    }

    pub(crate) fn http2(server: &Server) -> Self {
        Self::new(server, true)
    }

    fn new(server: &Server, http2: bool) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).http2_only(http2).build_http();
        Self { pool, at: server.url("") }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        key: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let headers = key.map(|key| ("idempotency-key", key));
        self.send(Method::POST, path, headers, body).await
    }

    pub(crate) async fn send<'a>(
        &self,
        method: Method,
        path: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: impl Into<Body>,
    ) -> Answer {
        let uri = format!("{}{path}", self.at);
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value.as_bytes());
        }
        let request = request.body(body.into()).unwrap();
        let response = soon(self.pool.request(request)).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let body = soon(body.collect()).await.expect("the whole body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The name of the problem that the answer is.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(document["status"], self.status.as_u16());
        for member in ["title", "detail"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{document}");
        }
        let uri = document["type"].as_str().unwrap();
        uri.strip_prefix("urn:oncely:problem:").unwrap().to_owned()
    }

    pub(crate) fn is_problem(&self, status: u16, name: &str) {
        assert_eq!((self.status.as_u16(), &*self.problem()), (status, name));
    }
}
