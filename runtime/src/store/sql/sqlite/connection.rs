//! One file, and the connections to it.

use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::error::Failure;
use super::schema;
use crate::store::{StoreError, StoreErrorKind};

/// How long a connection waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A database file.
#[derive(Debug)]
pub(super) struct File {
    options: SqliteConnectOptions,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reads,
    Writes,
    /// Writes, and does not wait for those who do.
    Alone,
}

impl File {
    /// The file that `url` names, which need not exist.
    pub(super) fn named(url: &str) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| Failure::from(error).at(Path::new(url)))?;
        if is_in_memory(url, &options) {
            return Err(StoreError::new(
                StoreErrorKind::Unsupported,
                format!(
                    "`{url}` names no file, and the connections of a store could not share it; \
                     use `memory:` for a store in this process or `sqlite://path/to/file.db`"
                ),
            ));
        }
        let mode_chosen = query(url).split('&').any(|pair| pair.starts_with("mode="));
        let options = options
            .busy_timeout(BUSY_TIMEOUT)
            .shared_cache(false)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let options = if mode_chosen { options } else { options.create_if_missing(true) };
        Ok(Self { options })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        self.options.get_filename()
    }

    /// Makes the file and its tables unless they are there. Blocks the thread while another
    /// process does the same.
    pub(super) async fn prepare(&self) -> Result<SqliteConnection, Failure> {
        let started = Instant::now();
        loop {
            // Turning write-ahead mode on does not wait for locks by itself.
            match self.try_prepare().await {
                Err(failure) if failure.is_busy() && started.elapsed() < BUSY_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                answer => return answer,
            }
        }
    }

    async fn try_prepare(&self) -> Result<SqliteConnection, Failure> {
        let mut connection = self.options.connect().await?;
        schema::prepare(&mut connection).await?;
        Ok(connection)
    }

    /// The connection in `slot`, opened if there is none.
    pub(super) async fn open<'slot>(
        &self,
        slot: &'slot mut Option<SqliteConnection>,
        role: Role,
    ) -> Result<&'slot mut SqliteConnection, Failure> {
        let connection = match slot.take() {
            Some(connection) => connection,
            None => self.connect(role).await?,
        };
        Ok(slot.insert(connection))
    }

    /// Turns a failure into an error, and closes the connection if it may be the cause.
    pub(super) fn settle<T>(
        &self,
        slot: &mut Option<SqliteConnection>,
        answer: Result<T, Failure>,
    ) -> Result<T, StoreError> {
        answer.map_err(|failure| {
            if !failure.leaves_connection_usable() {
                *slot = None;
            }
            failure.at(self.path())
        })
    }

    /// A further connection. The file is there; if it vanished, an empty one would be a trap.
    async fn connect(&self, role: Role) -> Result<SqliteConnection, Failure> {
        let options = self.options.clone().create_if_missing(false);
        let options = match role {
            Role::Writes => options,
            Role::Alone => options.busy_timeout(Duration::ZERO),
            Role::Reads => options.pragma("query_only", "on"),
        };
        Ok(options.connect().await?)
    }
}

/// Whether several connections would each get a database of their own.
fn is_in_memory(url: &str, options: &SqliteConnectOptions) -> bool {
    let name = options.get_filename().to_string_lossy();
    // `file:` names are URIs to SQLite, with a query of their own.
    name.is_empty()
        || name == ":memory:"
        || name.starts_with("file:")
        || query(url).split('&').any(|pair| pair == "mode=memory")
}

fn query(url: &str) -> &str {
    url.split_once('?').map_or("", |(_, query)| query)
}
