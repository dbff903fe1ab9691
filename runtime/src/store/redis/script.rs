//! The scripts: their text, and how they are called.

use std::time::Duration;

use redis::Cmd;

use crate::store::record;

/// The key of the token drawn last. No record is named so: their names have slashes in them.
pub(super) const TOKENS: &str = "oncely:last_token";

/// What the store runs on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Acquire,
    Update,
    /// Looks at keys of one slot, before any of several is taken.
    #[cfg(feature = "redis-cluster")]
    Look,
}

impl Script {
    pub(super) const ALL: &[Self] = &[
        Self::Acquire,
        Self::Update,
        #[cfg(feature = "redis-cluster")]
        Self::Look,
    ];

    /// The text to load.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Acquire => concat!(include_str!("record.lua"), include_str!("acquire.lua")),
            Self::Update => concat!(include_str!("record.lua"), include_str!("update.lua")),
            #[cfg(feature = "redis-cluster")]
            Self::Look => concat!(include_str!("record.lua"), include_str!("look.lua")),
        }
    }

    /// The beginning of a call: the keys come next, then the arguments.
    pub(super) fn call(sha: &str, keys: usize) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(sha).arg(keys);
        command
    }

    /// The end of a call: how far a test has moved the clock.
    pub(super) fn end(command: &mut Cmd, offset: i64) {
        if offset != 0 {
            command.arg(offset);
        }
    }
}

/// The longest time in a script: added to any of today's moments it is still exact as a double.
const LONGEST: i64 = 1 << 52;

/// The whole milliseconds of a duration, as the scripts can count them.
pub(super) fn millis(duration: Duration) -> i64 {
    record::millis(duration).min(LONGEST)
}
