//! What Redis's complaints mean to a caller, and what to do about them.

use std::borrow::Cow;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::tls;
use crate::store::{StoreError, StoreErrorKind};

/// Why a step of an operation did not succeed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Redis or its driver said so.
    Redis(RedisError),
    /// Nobody answered in time.
    TooLate,
    /// A record is there that cannot be understood.
    Corrupt(String),
    /// The server is not one that this release can use.
    Unsupported(String),
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Redis(error.into())
    }
}

impl Failure {
    /// A script answered what it never answers.
    pub(super) fn odd(script: &str) -> Self {
        Self::Corrupt(format!("the server gave a strange answer to the script `{script}`"))
    }

    /// Whether the server has forgotten the scripts; then nothing was done.
    pub(super) fn is_no_script(&self) -> bool {
        matches!(
            self,
            Self::Redis(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        )
    }

    /// Whether the server refuses because of the user's rights.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Redis(error) if says(error, "NOPERM"))
    }

    /// Whether the connection may be the cause, or leads to a server that cannot serve any more.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::TooLate => true,
            Self::Redis(error) => {
                error.is_unrecoverable_error()
                    || error.is_io_error()
                    || says(error, "READONLY")
                    || says(error, "MASTERDOWN")
            }
            Self::Corrupt(_) | Self::Unsupported(_) => false,
        }
    }

    /// Where the server sends us: its slots are another's, or are on their way there.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn redirect(&self) -> Option<Redirect> {
        let Self::Redis(error) = self else { return None };
        let to = || {
            // A server that does not know the name of another leaves it out.
            let (address, _) = error.redirect_node()?;
            let (host, port) = address.rsplit_once(':')?;
            Some((host.to_owned(), port.parse().ok()?))
        };
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => to().map(Redirect::Moved),
            ErrorKind::Server(ServerErrorKind::Ask) => to().map(Redirect::Ask),
            ErrorKind::Server(ServerErrorKind::TryAgain) => Some(Redirect::TryAgain),
            _ => None,
        }
    }

    /// The error to show, with what to do about it.
    pub(super) fn at(self, address: &str) -> StoreError {
        match self {
            Self::Corrupt(what) => StoreError::new(
                StoreErrorKind::Corrupt,
                format!("`{address}`: a record cannot be understood: {what}"),
            ),
            Self::Unsupported(what) => {
                StoreError::new(StoreErrorKind::Unsupported, format!("`{address}`: {what}"))
            }
            Self::TooLate => StoreError::new(
                StoreErrorKind::Unavailable,
                format!("`{address}`: no answer within {:?}", super::LIMIT),
            ),
            Self::Redis(error) => {
                let (kind, advice) = match tls::explain(&error) {
                    Some(what) => (StoreErrorKind::Unsupported, Cow::Owned(what)),
                    None => meaning(&error),
                };
                StoreError::new(kind, format!("`{address}`: {advice}")).with_source(error)
            }
        }
    }
}

pub(super) const PART_OF_CLUSTER: &str = "the server is part of a cluster; write \
                                          `redis+cluster://HOST:PORT` and enable the feature \
                                          `redis-cluster` of oncely";
pub(super) const NO_CLUSTER: &str = "the server is not part of a cluster; write \
                                     `redis://HOST:PORT`";
/// Where else to ask for a slot: a host and a port.
#[cfg(feature = "redis-cluster")]
pub(super) enum Redirect {
    /// There from now on.
    Moved((String, u16)),
    /// There this once.
    Ask((String, u16)),
    /// Here, but later: some of the keys are on their way.
    TryAgain,
}

const RIGHTS: &str = "the user may not run what the store needs; the documentation of \
                      `oncely::store::redis` lists the commands, keys and channels";

fn meaning(error: &RedisError) -> (StoreErrorKind, Cow<'static, str>) {
    use StoreErrorKind::{Corrupt, Unavailable, Unsupported};
    // Errors from within a script carry the code of their cause somewhere in the text.
    let causes = [
        ("WRONGTYPE", Corrupt, "a key of the store holds something that is no record"),
        ("NOPERM", Unsupported, RIGHTS),
        // Of a command within a script.
        ("The user executing the script can't", Unsupported, RIGHTS),
        ("NOAUTH", Unsupported, "the server asks for a password; put it into the URL"),
        ("WRONGPASS", Unsupported, "the server refuses the user or the password of the URL"),
        ("CROSSSLOT", Unsupported, PART_OF_CLUSTER),
        ("MOVED", Unsupported, PART_OF_CLUSTER),
        ("cluster support disabled", Unsupported, NO_CLUSTER),
        ("CLUSTERDOWN", Unavailable, "nobody in the cluster serves this key now"),
        ("TRYAGAIN", Unavailable, "the key is being moved to another server"),
        ("READONLY", Unavailable, "the server is a replica and takes no writes"),
        ("OOM", Unavailable, "the server is out of memory"),
        ("LOADING", Unavailable, "the server is loading its data"),
        ("BUSY", Unavailable, "the server is busy with a script"),
    ];
    if let Some((_, kind, advice)) = causes.into_iter().find(|(code, ..)| says(error, code)) {
        return (kind, advice.into());
    }
    let (kind, advice) = match error.kind() {
        ErrorKind::AuthenticationFailed => {
            (Unsupported, "the server refuses the user or the password of the URL")
        }
        ErrorKind::RESP3NotSupported => {
            (Unsupported, "the server does not speak RESP3; Redis 6.0 or later is needed")
        }
        ErrorKind::InvalidClientConfig => (
            Unsupported,
            "the URL cannot be used; write `redis://HOST:PORT/DATABASE` or `redis+unix:///PATH`",
        ),
        ErrorKind::Io => (Unavailable, "the server cannot be reached, or was lost on the way"),
        _ => (Unavailable, "the server did not answer as expected"),
    };
    (kind, advice.into())
}

/// Whether the server's error has this code, or was caused by one that has it.
fn says(error: &RedisError, code: &str) -> bool {
    let detail = error.detail().unwrap_or_default();
    let starts_word = |at: usize| !detail[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let ends_word = |at: usize| !detail[at..].starts_with(|c: char| c.is_ascii_alphanumeric());
    error.code() == Some(code)
        || detail
            .match_indices(code)
            .any(|(at, found)| starts_word(at) && ends_word(at + found.len()))
}
