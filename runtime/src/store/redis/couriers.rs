//! What carries one command after the other to the server and back.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisResult, Value};

/// So many couriers stay for the commands to come.
const SPARE: usize = 64;

/// The couriers of one connection.
///
/// The driver's future for a command is large, and to make room for it each time is dear beside the
/// command. So a future that has brought one answer stays, and goes again with the next command.
pub(super) struct Couriers {
    connection: MultiplexedConnection,
    resting: Mutex<Vec<Courier>>,
}

/// Goes with a command when it is polled, and has its answer some polls later.
struct Courier {
    bag: Arc<Mutex<Bag>>,
    way: Pin<Box<dyn Future<Output = Infallible> + Send>>,
}

/// What a courier is given, and what it brings.
#[derive(Default)]
struct Bag {
    command: Option<Cmd>,
    answer: Option<RedisResult<Value>>,
}

impl Couriers {
    pub(super) fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, resting: Mutex::default() }
    }

    /// The connection, for what is no command with one answer.
    pub(super) fn connection(&self) -> &MultiplexedConnection {
        &self.connection
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Cancel safety
    /// Dropped, it may be sent all the same.
    pub(super) fn carry(&self, command: Cmd) -> impl Future<Output = RedisResult<Value>> {
        let resting = self.resting.lock().pop();
        let mut courier = resting.unwrap_or_else(|| Courier::new(self.connection.clone()));
        courier.bag.lock().command = Some(command);
        async {
            let answer = poll_fn(|context| courier.poll(context)).await;
            let mut resting = self.resting.lock();
            if resting.len() < SPARE {
                resting.push(courier);
            }
            answer
        }
    }
}

impl Courier {
    fn new(connection: MultiplexedConnection) -> Self {
        let bag = Arc::default();
        Self { way: Box::pin(go(connection, Arc::clone(&bag))), bag }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<RedisResult<Value>> {
        match self.way.as_mut().poll(context) {
            Poll::Ready(never) => match never {},
            Poll::Pending => self.bag.lock().answer.take().map_or(Poll::Pending, Poll::Ready),
        }
    }
}

/// Brings the answer to each command in the bag. Whoever puts one there polls, so nobody is woken for it.
async fn go(mut connection: MultiplexedConnection, bag: Arc<Mutex<Bag>>) -> Infallible {
    loop {
        let given =
            |_: &mut Context<'_>| bag.lock().command.take().map_or(Poll::Pending, Poll::Ready);
        let command = poll_fn(given).await;
        let answer = connection.send_packed_command(&command).await;
        bag.lock().answer = Some(answer);
    }
}

impl fmt::Debug for Couriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Couriers").field("resting", &self.resting.lock().len()).finish()
    }
}
