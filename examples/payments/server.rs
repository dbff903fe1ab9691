//! One server of the service: starting it on a free port of the loopback, and stopping it cleanly.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};
use oncely::Coordinator;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::http;
use crate::ledger::Ledger;
use crate::options::Place;
use crate::outside::{Moment, Outside};
use crate::service::Payments;

const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Server {
    address: SocketAddr,
    oncely: Coordinator,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(place: &Place, stop_at: Option<Moment>) -> anyhow::Result<Self> {
        // Orders of another ledger are other orders, even in a store that is shared.
        let namespace = place.dir.file_name().and_then(OsStr::to_str).unwrap_or("payments");
        let oncely = Coordinator::builder().namespace(namespace).connect(&place.store).await?;
        oncely.install()?;

        let outside = Outside::new(Ledger::at(&place.dir.join("ledger.jsonl")), stop_at);
        let router = http::router(Payments::new(outside, oncely.clone()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            // A server that was dropped stops as well.
            let _ = stopped.await;
        });
        Ok(Self { address, oncely, stop, serving: tokio::spawn(serve.into_future()) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more connections, lets the calls that run come to their end, and then stops them.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        let left = self.oncely.shutdown(PATIENCE).await;
        ensure!(left.stopped.is_empty(), "calls that had to be stopped: {:?}", left.stopped);
        let served = tokio::time::timeout(PATIENCE, self.serving).await;
        Ok(served.context("a connection stays open")???)
    }

    pub(crate) fn curl_lines(&self) -> String {
        let url = self.url();
        format!(
            "curl -i {url}/payments -H 'Idempotency-Key: p-1' \
             --json '{{\"order_id\": \"order-1\", \"amount\": 1200}}'\n\
             curl -i -X POST {url}/orders/order-1/ship\n\
             curl {url}/ledger"
        )
    }
}
