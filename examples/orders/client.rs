//! A client of one user, over real HTTP, which tries again until it is answered.

use std::net::SocketAddr;

use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use oncely::http::{Retry, Retrying};
use serde_json::Value;
use tower_layer::Layer;
use tower_service::Service;

pub(crate) struct Client {
    http: Retrying<Http<HttpConnector, Body>>,
    at: SocketAddr,
    user: &'static str,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) replayed: bool,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new(user: &'static str, at: SocketAddr) -> Self {
        let http = Http::builder(TokioExecutor::new()).build_http();
        Self { http: Retry::new().layer(http), at, user }
    }

    /// Sends a request with this key, or with one that the client makes.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.at))
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.user));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Body::from(body.to_string()))?;
        let answer = self.http.clone().call(request).await;
        let (head, body) = answer.map_err(anyhow::Error::from_boxed)?.into_parts();
        let body = body.collect().await?.to_bytes();
        let replayed = head.headers.contains_key("idempotency-replayed");
        Ok(Answer { status: head.status, replayed, body })
    }

    /// How many orders the user has.
    pub(crate) async fn orders(&self) -> anyhow::Result<Vec<Value>> {
        let answer = self.send(Method::GET, "/orders", None, &Value::Null).await?;
        Ok(serde_json::from_slice(&answer.body)?)
    }
}
