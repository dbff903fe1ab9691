//! From a URL to a store.

use std::sync::Arc;

use super::Store;
use super::memory::MemoryStore;
use crate::model::{Error, ErrorKind};

/// Opens the store at `url`.
pub(crate) async fn connect(url: &str) -> Result<Arc<dyn Store>, Error> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    match scheme {
        "memory" if rest.is_empty() => Ok(Arc::new(MemoryStore::new())),
        "memory" => Err(invalid("`memory:` takes nothing after the colon".to_owned())),
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Arc::new(super::sql::sqlite::SqliteStore::connect(url).await?)),
        #[cfg(not(feature = "sqlite"))]
        "sqlite" => Err(invalid("`sqlite:` needs the feature `sqlite` of oncely".to_owned())),
        "rediss" | "rediss+cluster" | "rediss-cluster"
            if cfg!(all(feature = "redis", not(feature = "redis-tls"))) =>
        {
            Err(invalid(format!("`{scheme}:` needs the feature `redis-tls` of oncely")))
        }
        "redis+cluster" | "redis-cluster" | "rediss+cluster" | "rediss-cluster"
            if cfg!(all(feature = "redis", not(feature = "redis-cluster"))) =>
        {
            Err(invalid(format!("`{scheme}:` needs the feature `redis-cluster` of oncely")))
        }
        #[cfg(feature = "redis")]
        "redis" | "redis+unix" | "unix" | "rediss" | "redis+cluster" | "redis-cluster"
        | "rediss+cluster" | "rediss-cluster" => {
            Ok(Arc::new(super::redis::RedisStore::connect(url).await?))
        }
        #[cfg(not(feature = "redis"))]
        "redis" | "redis+unix" | "unix" | "rediss" | "redis+cluster" | "redis-cluster"
        | "rediss+cluster" | "rediss-cluster" => {
            Err(invalid(format!("`{scheme}:` needs the feature `redis` of oncely")))
        }
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            Ok(Arc::new(super::sql::postgres::PostgresStore::connect(url).await?))
        }
        #[cfg(not(feature = "postgres"))]
        "postgres" | "postgresql" => {
            Err(invalid(format!("`{scheme}:` needs the feature `postgres` of oncely")))
        }
        #[cfg(feature = "mysql")]
        "mysql" | "mariadb" => Ok(Arc::new(super::sql::mysql::MySqlStore::connect(url).await?)),
        #[cfg(not(feature = "mysql"))]
        "mysql" | "mariadb" => {
            Err(invalid(format!("`{scheme}:` needs the feature `mysql` of oncely")))
        }

        // The rest of the URL may hold a password.
        _ => Err(invalid(
            "the URL names no store that oncely knows; write `memory:`, `sqlite://FILE`, `postgres://…`, \
             `mysql://…` or `redis://…`"
                .to_owned(),
        )),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}
