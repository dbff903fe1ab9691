//! Other libraries from the registry, at what each of them can do.
//!
//! Left out: `redlock`, which blocks its thread and needs another major version of the driver;
//! `idempotent`, whose licence (MPL-2.0) is not among those that may enter this workspace, and whose
//! later releases need a newer compiler than it has.

use std::time::Duration;

use anyhow::{Context, Result};
use cached::{AsyncRedisCache, ConcurrentCachedAsync};

use crate::measure::{Step, step};
use crate::receipt::Receipt;

const LEASE: Duration = Duration::from_secs(30);

/// `rslock` on one server: lock and release.
pub(super) fn rslock(url: &str) -> Step {
    let locks = rslock::LockManager::new(vec![url.to_owned()]);
    step(move |number| {
        let locks = locks.clone();
        async move {
            let name = format!("rslock:{number}");
            let lock = locks.acquire_no_guard(name.as_bytes(), LEASE).await?;
            locks.unlock(&lock).await;
            Ok(())
        }
    })
}

/// `async-redis-lock`: lock and release.
pub(super) async fn async_redis_lock(url: &str) -> Result<Step> {
    let locker = async_redis_lock::Locker::from_redis_url(url).await?;
    Ok(step(move |number| {
        let locker = locker.clone();
        async move {
            let lock = locker.acquire(format!("async-redis-lock:{number}")).await?;
            Ok(lock.release().await?)
        }
    }))
}

/// `cached`: hits on so many values of 200 bytes.
pub(super) async fn cached(url: &str, stored: u64) -> Result<Step> {
    let cache: AsyncRedisCache<u64, Receipt> =
        AsyncRedisCache::builder("cached").ttl(LEASE * 20).connection_string(url).build().await?;
    for number in 0..stored {
        cache.async_cache_set(number, Receipt::new()).await?;
    }
    Ok(step(move |number| {
        let cache = cache.clone();
        async move {
            let hit = cache.async_cache_get(&(number % stored)).await?;
            hit.map(drop).context("a value that is not there")
        }
    }))
}
