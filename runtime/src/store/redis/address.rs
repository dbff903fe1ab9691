//! Where the servers are, from a URL.

use std::path::PathBuf;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use super::error::Failure;
use super::tls::{Files, Tls};
use crate::store::{StoreError, StoreErrorKind};

/// One server, and how to speak to it.
#[derive(Clone)]
pub(super) struct Server {
    /// Its address, and who asks it for which database.
    pub(super) info: ConnectionInfo,
    pub(super) tls: Option<Tls>,
}

impl Server {
    /// What may be shown: without user and password.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let database = self.info.redis_settings().db();
        match self.info.addr() {
            ConnectionAddr::Unix(path) => {
                format!("redis+unix://{}?db={database}", path.display())
            }
            address => format!("{scheme}://{address}/{database}"),
        }
    }
}

/// What a URL names.
pub(super) struct Address {
    pub(super) server: Server,
    /// The other servers of a cluster that are named; `None` where there is no cluster.
    pub(super) others: Option<Vec<Server>>,
}

impl Address {
    /// The servers that `url` names.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
        let (is_cluster, is_encrypted) = match scheme {
            "redis" => (false, false),
            "rediss" => (false, true),
            "redis+cluster" | "redis-cluster" => (true, false),
            "rediss+cluster" | "rediss-cluster" => (true, true),
            "redis+unix" | "unix" => {
                let server = Server { info: settled(url, scheme)?, tls: None };
                return Ok(Self { server, others: None });
            }
            _ => return Err(unsupported("write `redis://HOST:PORT` or `redis+unix:///PATH`")),
        };
        if cfg!(not(feature = "redis-cluster")) && is_cluster {
            return Err(unsupported("clusters need the feature `redis-cluster` of oncely"));
        }
        let Some(rest) = rest.strip_prefix("//") else {
            return Err(unsupported(format!("write `{scheme}://HOST:PORT`")));
        };
        if rest.contains('#') {
            return Err(unsupported(
                "the URL ends in a fragment, which nothing here understands; certificates are \
                 always verified, and `?ca=PATH` names who signed them",
            ));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let plain = |host: &str| format!("redis://{user}{host}{path}");
        let (host, others) = match hosts.split_once(',').filter(|_| is_cluster) {
            Some((host, others)) => (host, others.split(',').collect()),
            None => (hosts, Vec::new()),
        };
        let tls = match (files(&plain(host))?, is_encrypted) {
            (files, true) => Some(Tls::load(&files).map_err(|failure| failure.at(scheme))?),
            (files, false) if files == Files::default() => None,
            (_, false) => {
                return Err(unsupported("certificates need TLS; write `rediss:` for `redis:`"));
            }
        };
        let server = |host: &str| {
            let info = settled(&plain(host), scheme)?;
            if is_cluster && info.redis_settings().db() != 0 {
                return Err(unsupported("a cluster has no databases; end the URL with its hosts"));
            }
            Ok(Server { info, tls: tls.clone() })
        };
        let others: Result<Vec<_>, _> = others.into_iter().map(server).collect();
        Ok(Self { server: server(host)?, others: is_cluster.then_some(others?) })
    }

    /// What may be shown: without user and password.
    pub(super) fn shown(&self) -> String {
        let others = self.others.iter().flatten().map(Server::shown);
        others.fold(self.server.shown(), |shown, other| shown + "," + &other)
    }
}

/// One server's address and settings.
fn settled(url: &str, scheme: &str) -> Result<ConnectionInfo, StoreError> {
    // The URL may hold a password, so errors do not show it.
    let info = url.into_connection_info().map_err(|error| Failure::from(error).at(scheme))?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let info = info.set_redis_settings(settings);
    match info.addr() {
        ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_) => Ok(info),
        _ => Err(unsupported("the URL names no address that the store can reach")),
    }
}

/// The certificates that a URL names. A parameter that nobody understands may have been meant to
/// protect something.
fn files(url: &str) -> Result<Files, StoreError> {
    let mut files = Files::default();
    let url = redis::parse_redis_url(url);
    for (name, value) in url.iter().flat_map(|url| url.query_pairs()) {
        let file = match &*name {
            "ca" => &mut files.ca,
            "cert" => &mut files.certificate,
            "key" => &mut files.key,
            "protocol" => continue,
            _ => {
                return Err(unsupported(format!("the URL's parameter `{name}` is not known")));
            }
        };
        *file = Some(PathBuf::from(&*value));
    }
    Ok(files)
}

fn unsupported(message: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, message)
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::Address;

    #[test]
    fn a_url_that_needs_a_feature_says_which() {
        for (url, feature, is_on) in [
            ("rediss://localhost?ca=/nowhere", "redis-tls", cfg!(feature = "redis-tls")),
            ("redis+cluster://localhost", "redis-cluster", cfg!(feature = "redis-cluster")),
            ("redis-cluster://localhost", "redis-cluster", cfg!(feature = "redis-cluster")),
            ("rediss+cluster://localhost/#", "redis-cluster", cfg!(feature = "redis-cluster")),
        ] {
            let said = Address::parse(url).err().map(|error| error.to_string());
            let names_it = said.is_some_and(|said| said.contains(&format!("`{feature}`")));
            assert_eq!(names_it, !is_on, "{url}");
        }
    }

    #[test]
    #[cfg(feature = "redis-cluster")]
    fn a_cluster_has_as_many_hosts_as_its_url() {
        let url = "redis+cluster://user:p%40ss@one,[::1]:7001,three:7002/";
        let address = Address::parse(url).expect("three hosts");
        let shown = "redis://one:6379/0,redis://::1:7001/0,redis://three:7002/0";
        assert_eq!(address.shown(), shown);
        let others = address.others.expect("a cluster");
        for server in others.iter().chain([&address.server]) {
            assert_eq!(server.info.redis_settings().password(), Some("p@ss"));
        }
    }
}
