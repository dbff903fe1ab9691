//! Where the server is, from a URL.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use super::error::Failure;
use crate::store::{StoreError, StoreErrorKind};

/// A server, and who asks it for which database.
pub(super) struct Address {
    pub(super) info: ConnectionInfo,
    /// What may be shown: without user and password.
    pub(super) shown: String,
}

impl Address {
    /// The server that `url` names.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
        match scheme {
            "redis" | "redis+unix" | "unix" => {}
            "rediss" => {
                return Err(unsupported(
                    "`rediss:` needs TLS, which this release does not speak; use `redis:` through \
                     a tunnel",
                ));
            }
            "redis+cluster" | "redis-cluster" => {
                return Err(unsupported(
                    "clusters are not supported in this release; name one server with `redis:`",
                ));
            }
            _ => return Err(unsupported("write `redis://HOST:PORT` or `redis+unix:///PATH`")),
        }
        // The URL may hold a password, so errors do not show it.
        let info = url.into_connection_info().map_err(|e| Failure::from(e).at(scheme))?;
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let database = settings.db();
        let info = info.set_redis_settings(settings);
        let shown = match info.addr() {
            ConnectionAddr::Tcp(host, port) => format!("redis://{host}:{port}/{database}"),
            ConnectionAddr::Unix(path) => format!("redis+unix://{}?db={database}", path.display()),
            _ => return Err(unsupported("the URL names no address that the store can reach")),
        };
        Ok(Self { info, shown })
    }
}

fn unsupported(message: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, message)
}
