//! The service over HTTP: routes, what protects them, and the server they run in.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use oncely::http::{IdempotencyKey, IdempotencyLayer, ReplayedLayer};
use oncely::{Coordinator, idempotent};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::orders::{Change, NewOrder, Order, Orders};
use crate::users::{User, authenticate, name_of};

const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn router(orders: Orders, oncely: &Coordinator) -> Router {
    // The same key of two users never meets. A handler whose client hangs up comes to its end.
    let layer =
        IdempotencyLayer::new(oncely, name_of).required().retention(Duration::from_secs(3600));
    Router::new()
        .route("/orders", post(place).get(list))
        .route("/orders/{id}", patch(change))
        .layer(layer)
        .route("/orders/{id}/cancel", post(cancel))
        .route("/health", get(|| async { "well" }))
        .layer(ReplayedLayer)
        .layer(from_fn(authenticate))
        .with_state(orders)
}

/// Behind the layer a handler is what it is without it.
async fn place(State(orders): State<Orders>, user: User, Json(new): Json<NewOrder>) -> Response {
    if new.pieces == 0 {
        // Not stored: with the same key, the user may correct the request.
        return (StatusCode::UNPROCESSABLE_ENTITY, "an order of nothing").into_response();
    }
    let order = orders.place(&user.name, new).await;
    let location = format!("/orders/{}", order.id);
    (StatusCode::CREATED, [(LOCATION, location)], Json(order)).into_response()
}

async fn change(
    State(orders): State<Orders>,
    user: User,
    Path(id): Path<usize>,
    Json(change): Json<Change>,
) -> Result<Json<Order>, StatusCode> {
    let changed = orders.change(&user.name, id, |order| order.pieces += change.more_pieces);
    changed.map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn list(State(orders): State<Orders>, user: User) -> Json<Vec<Order>> {
    Json(orders.of(&user.name))
}

/// An annotated handler says more for itself: which callers are apart, how long a duplicate waits.
#[idempotent(operation = "cancel", scope = "<user.name>", wait = "1s", detached)]
async fn cancel(
    _key: IdempotencyKey,
    State(orders): State<Orders>,
    user: User,
    Path(id): Path<usize>,
) -> Result<(StatusCode, Json<Option<Order>>), oncely::Error> {
    let cancelled = orders.change(&user.name, id, |order| order.is_cancelled = true);
    let status = if cancelled.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    Ok((status, Json(cancelled)))
}

/// The service on a free port of the loopback.
pub(crate) struct Server {
    address: SocketAddr,
    oncely: Coordinator,
    serving: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let oncely = Coordinator::connect("memory:").await?;
        oncely.install()?;
        let router = router(Orders::default(), &oncely);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the server ended: {error}");
            }
        });
        Ok(Self { address, oncely, serving })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for what runs, with or without a client, and stops.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let left = self.oncely.shutdown(PATIENCE).await;
        self.serving.abort();
        ensure!(left.stopped.is_empty(), "calls that had to be stopped: {:?}", left.stopped);
        Ok(())
    }
}
