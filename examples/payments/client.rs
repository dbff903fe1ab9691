//! A client of the service, over real HTTP.

use std::fmt;
use std::time::Duration;

use anyhow::Context;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header::CONTENT_TYPE};
use hyper_util::client::legacy::{Client as Http, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);
const LARGEST_ANSWER: usize = 1 << 20;

#[derive(Clone)]
pub(crate) struct Client {
    http: Http<HttpConnector, Body>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// Whether the service says that an earlier request got it first.
    pub(crate) replayed: bool,
}

impl Answer {
    /// Whether it is the same answer, given now or again.
    pub(crate) fn repeats(&self, other: &Self) -> bool {
        (self.status, &self.body) == (other.status, &other.body)
    }

    /// The last part of the type, if the answer is a problem.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.body["type"].as_str()?.rsplit(':').next()
    }
}

impl Client {
    pub(crate) fn new() -> Self {
        Self { http: Http::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn get(&self, url: &str) -> anyhow::Result<Answer> {
        self.send(Request::get(url).body(Body::empty())?).await
    }

    pub(crate) async fn post(
        &self,
        url: &str,
        idempotency_key: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::post(url).header(CONTENT_TYPE, "application/json");
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        self.send(request.body(body.to_string().into())?).await
    }

    async fn send(&self, request: Request<Body>) -> anyhow::Result<Answer> {
        let answer = async {
            let response = self.http.request(request).await?;
            let status = response.status();
            let replayed = response.headers().contains_key("idempotency-replayed");
            let bytes = to_bytes(Body::new(response.into_body()), LARGEST_ANSWER).await?;
            let body = serde_json::from_slice(&bytes)
                .with_context(|| format!("{status} came without JSON"))?;
            anyhow::Ok(Answer { status, body, replayed })
        };
        tokio::time::timeout(PATIENCE, answer).await.context("no answer")?
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status.as_u16())?;
        if let Some(text) = self.problem().or(self.body["id"].as_str()) {
            write!(f, " {text}")?;
        }
        if let Some(attempt) = self.body["attempt"].as_u64() {
            write!(f, ", attempt {attempt}")?;
        }
        if self.body["already_shipped"] == true {
            f.write_str(", already shipped")?;
        }
        if self.body["resolved"] == true {
            f.write_str(" resolved")?;
        }
        if self.replayed {
            f.write_str(", replayed")?;
        }
        Ok(())
    }
}
