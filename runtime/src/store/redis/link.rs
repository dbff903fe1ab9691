//! One connection, for the operations and the news of one runtime.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ConnectionAddr, PushInfo, RedisConnectionInfo, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Id};
use tokio::sync::futures::OwnedNotified;
use tokio::task::{AbortHandle, unconstrained};

use super::address::Server;
use super::batch::Batches;
use super::couriers::Couriers;
use super::error::Failure;
use super::places::{Place, Places};
use super::script::{By, Script};
use super::watch::Watches;
use crate::store::LeaseRequest;
use crate::store::timers::Timers;

/// How many commands may wait for the driver, before those who send wait in line.
const BUFFER: usize = 1024;
/// How long a connection that was given up may still answer those who use it.
const GRACE: Duration = Duration::from_secs(5);

/// A connection that many share: commands are answered in the order in which they were sent, and
/// what the server pushes comes in between.
pub(super) struct Link {
    couriers: Couriers,
    runtime: Handle,
    driver: AbortHandle,
    alive: Arc<AtomicBool>,
    watches: Arc<Watches>,
    places: Arc<Places>,
    pub(super) batches: Batches,
    pub(super) timers: Timers,
    /// The names by which the server knows the scripts, in the order of [`Script::ALL`].
    names: Vec<String>,
}

impl Link {
    /// A new connection, driven by the current runtime.
    pub(super) async fn open(server: &Server, runtime: Handle) -> Result<Arc<Self>, Failure> {
        let watches = Arc::new(Watches::default());
        let places = Arc::new(Places::new());
        let heard = (Arc::clone(&watches), Arc::clone(&places));
        let config = AsyncConnectionConfig::new()
            // Whoever waits for an answer has a limit of their own, which counts everything.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(BUFFER)
            .set_push_sender(move |pushed: PushInfo| {
                heard.0.hear(&pushed);
                heard.1.hear(&pushed);
                Ok::<(), ()>(())
            });
        let alive = Arc::new(AtomicBool::new(true));
        let ending = Ending {
            alive: Arc::clone(&alive),
            watches: Arc::clone(&watches),
            places: Arc::clone(&places),
        };
        let spoken = Spoken { settings: server.info.redis_settings(), config, ending };
        let (connection, driver) = match server.info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                match &server.tls {
                    Some(tls) => spoken.over(tls.wrap(host, stream).await?, &runtime).await?,
                    None => spoken.over(stream, &runtime).await?,
                }
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => {
                spoken.over(tokio::net::UnixStream::connect(path).await?, &runtime).await?
            }
            _ => return Err(Failure::Unsupported("no address that can be reached".to_owned())),
        };
        let couriers = Couriers::new(connection);
        let (batches, timers, names) = Default::default();
        let mut link =
            Self { couriers, runtime, driver, alive, watches, places, batches, timers, names };
        for script in Script::ALL {
            link.names.push(link.load(*script).await?);
        }
        let link = Arc::new(link);
        link.places.attach(&link);
        Ok(link)
    }

    /// The runtime that drives it.
    pub(super) fn runtime(&self) -> Id {
        self.runtime.id()
    }

    /// Whether the driver still runs: it ends with the connection, or with its runtime.
    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Notes what an operation met: nobody starts anything any more on a connection that is spoilt.
    pub(super) fn failed(&self, failure: &Failure) {
        if failure.spoils_connection() {
            self.give_up();
        }
    }

    fn give_up(&self) {
        self.alive.store(false, Ordering::Release);
        self.watches.end();
        self.places.end();
        let driver = self.driver.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(GRACE).await;
            driver.abort();
        });
    }

    /// Sends a command and waits for its answer.
    pub(super) fn ask(&self, command: Cmd) -> impl Future<Output = Result<Value, Failure>> {
        let carried = self.couriers.carry(command);
        async {
            match carried.await? {
                Value::ServerError(error) => Err(Failure::Redis(error.into())),
                // One within it may be the answer to somebody else.
                answer => Ok(answer),
            }
        }
    }

    /// Calls a script; `command` makes the call from the script's name.
    pub(super) async fn run(
        &self,
        script: Script,
        command: impl Fn(By<'_>) -> Cmd,
    ) -> Result<Value, Failure> {
        let name = &self.names[script as usize];
        match self.ask(command(By::Name(name))).await {
            // The server was restarted behind a proxy, or told to forget. Nothing was done. It
            // could forget again before it is told to run what it was told to load.
            Err(failure) if failure.is_no_script() => {
                self.ask(command(By::Text(script.text()))).await
            }
            answer => answer,
        }
    }

    /// As [`run`](Self::run), of a server that is only now getting the keys of the call: without
    /// being asked so, it would send us to the one that had them.
    #[cfg(feature = "redis-cluster")]
    pub(super) async fn run_asking(
        &self,
        script: Script,
        command: impl Fn(By<'_>) -> Cmd,
    ) -> Result<Value, Failure> {
        // It may not know the script yet. The way to ask holds for one command only, so there must
        // be room for nobody's between the two.
        let mut both = redis::Pipeline::new();
        both.add_command(redis::cmd("ASKING")).add_command(command(By::Text(script.text())));
        let mut connection = self.couriers.connection().clone();
        let mut answers = connection.send_packed_commands(&both, 0, 2).await?;
        match answers.pop() {
            Some(Value::ServerError(error)) => Err(Failure::Redis(error.into())),
            Some(answer) => Ok(answer),
            None => Err(Failure::odd("asking")),
        }
    }

    async fn load(&self, script: Script) -> Result<String, Failure> {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(script.text());
        let name = self.ask(load).await?;
        redis::from_redis_value(name).map_err(|_| Failure::odd("load"))
    }

    /// Resolves when `key` may have changed; `None` if the connection is gone.
    pub(super) fn watch(&self, key: &str) -> Option<OwnedNotified> {
        self.watches.watch(key, self.couriers.connection(), &self.runtime)
    }

    /// A place in the queue of the request's key; `None` if the connection is gone.
    pub(super) fn wait(self: &Arc<Self>, request: &LeaseRequest, offset: i64) -> Option<Place> {
        let calls =
            self.places.join(request.attempt_id, self.couriers.connection(), &self.runtime)?;
        Some(Place::new(self, calls, request, offset))
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Sends before it returns, and lets a task see to the answer.
    pub(super) fn send(&self, sent: impl Future<Output = ()> + Send + 'static) {
        start(&self.runtime, sent);
    }
}

/// Polls once, so that what is to be sent is on its way, and goes on in a task.
pub(super) fn start(runtime: &Handle, future: impl Future<Output = ()> + Send + 'static) {
    let mut future = Box::pin(unconstrained(future));
    let mut context = Context::from_waker(Waker::noop());
    if future.as_mut().poll(&mut context).is_pending() {
        runtime.spawn(future);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}

/// How a connection is spoken on, whatever it is made of.
struct Spoken<'a> {
    settings: &'a RedisConnectionInfo,
    config: AsyncConnectionConfig,
    ending: Ending,
}

impl Spoken<'_> {
    async fn over(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        runtime: &Handle,
    ) -> Result<(MultiplexedConnection, AbortHandle), Failure> {
        let Self { settings, config, ending } = self;
        let (connection, driver) =
            MultiplexedConnection::new_with_config(settings, stream, config).await?;
        Ok((connection, runtime.spawn(drive(driver, ending)).abort_handle()))
    }
}

async fn drive(driver: impl Future<Output = ()>, ending: Ending) {
    driver.await;
    drop(ending);
}

/// Dropped when the driver ends, and also when its runtime does.
struct Ending {
    alive: Arc<AtomicBool>,
    watches: Arc<Watches>,
    places: Arc<Places>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::Release);
        self.watches.end();
        self.places.end();
    }
}
