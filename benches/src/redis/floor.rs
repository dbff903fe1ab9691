//! The floor: as many commands and bytes as a store needs that keeps the promise, called by hand on
//! the driver, without a rule, a lease or a line.
//!
//! The scripts read and write what `acquire_one.lua` and `update_one.lua` of the store read and write
//! for a key that nobody else wants; a store that comes to need less must take it from here too.
//! Each call here is one command. The store's are too, unless many are on their way: then it sends
//! several as one, which is for it to win.

use std::sync::Arc;

use anyhow::Result;
use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;

/// Looks at the key, draws a token, writes a record in progress.
const TAKE: &str = "
    if redis.call('GET', KEYS[2]) then return {1} end
    redis.call('TIME')
    redis.call('GET', KEYS[1])
    redis.call('SET', KEYS[1], '3613285916672001')
    redis.call('SET', KEYS[2], '1 p r - f 3613285916672001 1764151230000 1764151200000 1\\n'
      .. ARGV[2], 'PX', ARGV[1])
    return '3613285916672001'";
/// Looks whose the record is, and notes that it is free.
const RELEASE: &str = "
    redis.call('GET', KEYS[1])
    redis.call('SET', KEYS[1], '1 f - - - 3613285916672001\\n', 'PX', '60000')
    return 1";
/// Looks whose the record is, and writes the outcome.
const COMPLETE: &str = "
    local raw = redis.call('GET', KEYS[1])
    redis.call('TIME')
    redis.call('SET', KEYS[1], '1 c r 0 f 3613285916672001 1764237600000 1764151200000 1\\n'
      .. string.sub(raw, -33) .. ARGV[3], 'PX', ARGV[2])
    return 1";
/// Reads a record that is there.
const READ: &str = "
    local raw = redis.call('GET', KEYS[2])
    redis.call('TIME')
    return '=1764151200000' .. raw";

/// The scripts on one connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Floor {
    connection: MultiplexedConnection,
    take: Arc<str>,
    release: Arc<str>,
    complete: Arc<str>,
    read: Arc<str>,
}

impl Floor {
    pub(super) async fn new(mut connection: MultiplexedConnection) -> Result<Self> {
        let take = load(&mut connection, TAKE).await?;
        let release = load(&mut connection, RELEASE).await?;
        let complete = load(&mut connection, COMPLETE).await?;
        let read = load(&mut connection, READ).await?;
        Ok(Self { connection, take, release, complete, read })
    }

    /// Takes a key and gives it back.
    pub(super) async fn lock(mut self, name: String) -> Result<()> {
        let script = Arc::clone(&self.take);
        self.acquire::<String>(&script, &name, &[7; 16]).await?;
        let script = Arc::clone(&self.release);
        self.update(&script, &name, None).await
    }

    /// Takes a key and leaves an outcome in it.
    pub(super) async fn call(mut self, name: String, outcome: &[u8]) -> Result<()> {
        let script = Arc::clone(&self.take);
        self.acquire::<String>(&script, &name, &[7; 49]).await?;
        let script = Arc::clone(&self.complete);
        self.update(&script, &name, Some(outcome)).await
    }

    /// Reads an outcome as an acquire does that finds it.
    pub(super) async fn read(mut self, name: &str) -> Result<()> {
        let script = Arc::clone(&self.read);
        self.acquire::<Vec<u8>>(&script, name, &[7; 49]).await?;
        Ok(())
    }

    /// Reads the bytes at a key.
    pub(super) async fn get(mut self, name: &str) -> Result<()> {
        let _: Vec<u8> = redis::cmd("GET").arg(name).query_async(&mut self.connection).await?;
        Ok(())
    }

    /// Writes bytes to a key.
    pub(super) async fn set(mut self, name: &str, value: &[u8]) -> Result<()> {
        Ok(redis::cmd("SET").arg(name).arg(value).exec_async(&mut self.connection).await?)
    }

    async fn acquire<T: FromRedisValue>(
        &mut self,
        script: &str,
        name: &str,
        attempt: &[u8],
    ) -> Result<T> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(script).arg(2).arg("floor:last_token").arg(name);
        call.arg(86_430_000).arg(attempt);
        Ok(call.query_async(&mut self.connection).await?)
    }

    async fn update(&mut self, script: &str, name: &str, outcome: Option<&[u8]>) -> Result<()> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(script).arg(1).arg(name).arg("3613285916672001");
        if let Some(outcome) = outcome {
            call.arg(86_401_000).arg(outcome);
        }
        Ok(call.exec_async(&mut self.connection).await?)
    }
}

async fn load(connection: &mut MultiplexedConnection, text: &str) -> Result<Arc<str>> {
    let mut load = redis::cmd("SCRIPT");
    let name: String = load.arg("LOAD").arg(text).query_async(connection).await?;
    Ok(name.into())
}
