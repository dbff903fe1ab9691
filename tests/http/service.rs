//! A service on a port of its own, for as long as a test runs.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use oncely::Coordinator;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that stops when this is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The router with annotated handlers that go through `coordinator`.
pub(crate) fn through(coordinator: &Coordinator, router: Router) -> Router {
    let coordinator = coordinator.clone();
    router.layer(from_fn(move |request: Request, next: Next| {
        coordinator.scope(async move { next.run(request).await })
    }))
}

pub(crate) async fn memory() -> Coordinator {
    Coordinator::connect("memory:").await.unwrap()
}
