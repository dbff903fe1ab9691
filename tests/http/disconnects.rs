//! Clients that hang up, at every stage of a request.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use oncely::http::{IdempotencyKey, IdempotencyLayer, ReplayedLayer};
use oncely::{Coordinator, idempotent};
use oncely_tests::{Counter, Stage, ms, secs, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::service::{Server, memory, through};

#[derive(Clone, Default)]
struct Scene {
    stage: Stage,
    ran: Counter,
}

impl Scene {
    async fn play(&self) -> String {
        let number = self.ran.up();
        self.stage.enter().await;
        number.to_string()
    }
}

#[idempotent(detached)]
async fn detached(
    _key: IdempotencyKey,
    State(scene): State<Scene>,
) -> Result<String, oncely::Error> {
    Ok(scene.play().await)
}

#[idempotent]
async fn attached(
    _key: IdempotencyKey,
    State(scene): State<Scene>,
) -> Result<String, oncely::Error> {
    Ok(scene.play().await)
}

async fn plain(State(scene): State<Scene>, _body: String) -> String {
    scene.play().await
}

struct Service {
    server: Server,
    scene: Scene,
    oncely: Coordinator,
}

impl Service {
    async fn start() -> Self {
        let (oncely, scene) = (memory().await, Scene::default());
        let layer = IdempotencyLayer::new(&oncely, |_| "everyone".to_owned());
        let router = Router::new()
            .route("/detached", post(detached))
            .route("/attached", post(attached))
            .route("/layer", post(plain).layer(layer.clone()))
            .route("/attached-layer", post(plain).layer(layer.attached()))
            .layer(ReplayedLayer)
            .with_state(scene.clone());
        let server = Server::start(through(&oncely, router)).await;
        Self { server, scene, oncely }
    }

    /// A connection over which so much of a request has been sent.
    async fn sent(&self, path: &str, part: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: here\r\nidempotency-key: k\r\ncontent-length: 4\r\n\r\nbody"
        );
        let end = request.find(part).unwrap() + part.len();
        stream.write_all(&request.as_bytes()[..end]).await.unwrap();
        stream
    }

    /// The same request, all of it, and its answer: number and whether it is a replay.
    async fn again(&self, path: &str) -> (String, bool) {
        let answer = Client::http1(&self.server).post(path, Some("k"), "body").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (answer.text().to_owned(), answer.is_replayed())
    }
}

const PROTECTED: [&str; 2] = ["/detached", "/layer"];

/// Long enough for a server to notice on this machine; nothing is expected to happen.
const A_MOMENT: Duration = ms(50);

#[tokio::test]
async fn before_the_request_is_whole_nothing_runs_and_nothing_is_held() {
    for path in ["/layer", "/attached-layer"] {
        for part in ["POST", "idempotency-key", "content-length: 4\r\n\r\n", "bo"] {
            let service = Service::start().await;
            drop(service.sent(path, part).await);
            tokio::time::sleep(A_MOMENT).await;
            assert_eq!(service.scene.ran.count(), 0, "{path} after {part:?}");
            service.scene.stage.open();
            assert_eq!(service.again(path).await, ("1".to_owned(), false));
        }
    }
}

#[tokio::test]
async fn while_the_handler_runs_it_goes_on_and_the_next_request_gets_its_answer() {
    for path in PROTECTED {
        let service = Service::start().await;
        let connection = service.sent(path, "body").await;
        soon(service.scene.stage.entered()).await;
        drop(connection);
        tokio::time::sleep(A_MOMENT).await;
        assert_eq!(service.scene.stage.left(), 0, "{path}: the handler was dropped");
        service.scene.stage.open();
        assert_eq!(service.again(path).await, ("1".to_owned(), true), "{path}");
    }
}

#[tokio::test]
async fn while_an_attached_handler_runs_it_is_dropped_and_the_next_request_runs_again() {
    for path in ["/attached", "/attached-layer"] {
        let service = Service::start().await;
        let connection = service.sent(path, "body").await;
        soon(service.scene.stage.entered()).await;
        drop(connection);
        soon(async {
            while service.scene.stage.left() == 0 {
                tokio::time::sleep(ms(1)).await;
            }
        })
        .await;
        service.scene.stage.open();
        assert_eq!(service.again(path).await, ("2".to_owned(), false), "{path}");
    }
}

#[tokio::test]
async fn while_a_duplicate_waits_the_first_is_not_disturbed() {
    for path in PROTECTED {
        let service = Service::start().await;
        let mut first = service.sent(path, "body").await;
        soon(service.scene.stage.entered()).await;
        let duplicates = [service.sent(path, "body").await, service.sent(path, "body").await];
        tokio::time::sleep(A_MOMENT).await;
        drop(duplicates);
        tokio::time::sleep(A_MOMENT).await;
        service.scene.stage.open();
        let mut answer = vec![0; 4_096];
        let length = soon(first.read(&mut answer)).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 OK"), "{path}");
        assert_eq!(service.again(path).await, ("1".to_owned(), true), "{path}");
        assert_eq!(service.scene.ran.count(), 1);
    }
}

#[tokio::test]
async fn a_duplicate_gets_the_answer_of_a_first_whose_client_is_gone() {
    for path in PROTECTED {
        let service = Service::start().await;
        let first = service.sent(path, "body").await;
        soon(service.scene.stage.entered()).await;
        let goes = async {
            tokio::time::sleep(A_MOMENT).await;
            drop(first);
            tokio::time::sleep(A_MOMENT).await;
            service.scene.stage.open();
        };
        let (answer, ()) = tokio::join!(service.again(path), goes);
        assert_eq!(answer, ("1".to_owned(), true), "{path}");
    }
}

#[tokio::test]
async fn while_the_answer_is_on_its_way_it_stands_already() {
    for path in PROTECTED {
        let service = Service::start().await;
        service.scene.stage.open();
        let connection = service.sent(path, "body").await;
        soon(service.scene.stage.entered()).await;
        connection.readable().await.unwrap();
        // Unread: the connection is reset under the answer.
        drop(connection);
        assert_eq!(service.again(path).await, ("1".to_owned(), true), "{path}");
    }
}

#[tokio::test]
async fn a_shutdown_waits_for_handlers_whose_clients_are_gone() {
    for path in PROTECTED {
        let service = Service::start().await;
        let connection = service.sent(path, "body").await;
        soon(service.scene.stage.entered()).await;
        drop(connection);
        tokio::time::sleep(A_MOMENT).await;
        let (oncely, stage) = (service.oncely.clone(), service.scene.stage.clone());
        let opens = async {
            tokio::time::sleep(A_MOMENT).await;
            stage.open();
        };
        let (shutdown, ()) = tokio::join!(soon(oncely.shutdown(secs(30))), opens);
        assert_eq!(shutdown, oncely::Shutdown::default(), "{path}");
        assert_eq!(service.scene.stage.left(), 1, "{path}");
    }
}
