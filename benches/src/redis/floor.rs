//! The floor: as many commands and bytes as a store needs that keeps the promise, called by hand on
//! the driver, without a rule, a lease or a line.
//!
//! The scripts read and write what `runtime/src/store/redis/*.lua` read and write for a free key; a
//! store that comes to need less must take it from here too.

use std::sync::Arc;

use anyhow::Result;
use redis::Value;
use redis::aio::MultiplexedConnection;

/// Looks at the key, draws a token, writes a record in progress.
const TAKE: &str = "
    local time = redis.call('TIME')
    if redis.call('GET', KEYS[2]) then return {1} end
    local last = redis.call('GET', KEYS[1])
    redis.call('SET', KEYS[1], '3613285916672001')
    redis.call('SET', KEYS[2], '1 p r 3613285916672001 1 1764151230000 1764151200000 - -\\n'
      .. ARGV[3] .. ARGV[4], 'PX', ARGV[2])
    return {0, 3613285916672001, 1}";
/// Looks whose the record is, writes what it becomes.
const GIVE: &str = "
    local time = redis.call('TIME')
    redis.call('GET', KEYS[1])
    redis.call('SET', KEYS[1], '1 f r 3613285916672001 1 1764151230000 1764151200000 - -\\n'
      .. ARGV[5], 'PX', ARGV[4])
    return {1}";
/// Reads a record that is there.
const READ: &str = "
    local time = redis.call('TIME')
    return {1, 1764151200000, redis.call('GET', KEYS[2])}";

/// The scripts on one connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Floor {
    connection: MultiplexedConnection,
    take: Arc<str>,
    give: Arc<str>,
    read: Arc<str>,
}

impl Floor {
    pub(super) async fn new(mut connection: MultiplexedConnection) -> Result<Self> {
        let mut names = Vec::new();
        for text in [TAKE, GIVE, READ] {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(text);
            let name: String = load.query_async(&mut connection).await?;
            names.push(Arc::from(name));
        }
        let [take, give, read] = &names[..] else { unreachable!("three scripts") };
        let [take, give, read] = [take, give, read].map(Arc::clone);
        Ok(Self { connection, take, give, read })
    }

    /// Takes a key and gives it back.
    pub(super) async fn lock(mut self, name: String) -> Result<()> {
        self.take(&name, b"").await?;
        self.give(&name, b"").await
    }

    /// Takes a key and leaves an outcome in it.
    pub(super) async fn call(mut self, name: String, outcome: &[u8]) -> Result<()> {
        self.take(&name, &[7; 33]).await?;
        self.give(&name, outcome).await
    }

    /// Reads an outcome as an acquire does that finds it.
    pub(super) async fn read(mut self, name: &str) -> Result<()> {
        let script = Arc::clone(&self.read);
        let _: Vec<Value> = self.acquire(&script, name, &[7; 33]).await?;
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

    async fn take(&mut self, name: &str, fingerprint: &[u8]) -> Result<()> {
        let script = Arc::clone(&self.take);
        let _: Vec<Value> = self.acquire(&script, name, fingerprint).await?;
        Ok(())
    }

    async fn acquire(
        &mut self,
        script: &str,
        name: &str,
        fingerprint: &[u8],
    ) -> Result<Vec<Value>> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(script).arg(2).arg("floor:last_token").arg(name);
        call.arg(30_000).arg(86_430_000).arg([7; 16].as_slice()).arg(fingerprint).arg("r");
        Ok(call.query_async(&mut self.connection).await?)
    }

    async fn give(&mut self, name: &str, outcome: &[u8]) -> Result<()> {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&*self.give).arg(1).arg(name);
        call.arg(3_613_285_916_672_001_u64).arg("f").arg(0).arg(60_000).arg(outcome);
        let _: Vec<Value> = call.query_async(&mut self.connection).await?;
        Ok(())
    }
}
