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
    /// Many acquires and updates, each for itself.
    Many,
    /// Takes a place in the queue of a key.
    Wait,
    /// Gives it up.
    Leave,
    /// Looks at keys of one slot, before any of several is taken.
    #[cfg(feature = "redis-cluster")]
    Look,
}

/// What a call says of its script.
#[derive(Clone, Copy, Debug)]
pub(super) enum By<'a> {
    /// The name by which the server knows it.
    Name(&'a str),
    /// All of it, for a server that has forgotten it, and learns it so.
    Text(&'static str),
}

impl Script {
    pub(super) const ALL: &[Self] = &[
        Self::Acquire,
        Self::Update,
        Self::Many,
        Self::Wait,
        Self::Leave,
        #[cfg(feature = "redis-cluster")]
        Self::Look,
    ];

    /// The text to load.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Acquire => concat!(
                include_str!("acquire_one.lua"),
                include_str!("acquire_some.lua"),
                include_str!("record.lua"),
                include_str!("acquire.lua"),
                include_str!("acquire_all.lua"),
            ),
            Self::Update => concat!(
                include_str!("update_one.lua"),
                include_str!("update_some.lua"),
                include_str!("record.lua"),
                include_str!("queue.lua"),
                include_str!("update.lua"),
                include_str!("update_all.lua"),
            ),
            Self::Many => concat!(
                include_str!("many.lua"),
                include_str!("record.lua"),
                include_str!("queue.lua"),
                include_str!("update.lua"),
                include_str!("acquire.lua"),
                include_str!("many_rest.lua"),
            ),
            Self::Wait => concat!(
                include_str!("record.lua"),
                include_str!("queue.lua"),
                include_str!("wait.lua"),
            ),
            Self::Leave => concat!(
                include_str!("record.lua"),
                include_str!("queue.lua"),
                include_str!("leave.lua"),
            ),
            #[cfg(feature = "redis-cluster")]
            Self::Look => concat!(include_str!("record.lua"), include_str!("look.lua")),
        }
    }

    /// The beginning of a call: the keys come next, then so many arguments for each. What they are
    /// together may have some `bytes` besides.
    pub(super) fn call(by: By<'_>, keys: usize, arguments: usize, bytes: usize) -> Cmd {
        /// About how long a key and what belongs to it are, without an outcome.
        const USUAL: usize = 128;
        let mut command = Cmd::with_capacity(4 + keys * (1 + arguments), 64 + keys * USUAL + bytes);
        match by {
            By::Name(name) => command.arg("EVALSHA").arg(name),
            By::Text(text) => command.arg("EVAL").arg(text),
        };
        command.arg(keys);
        command
    }

    /// The end of a call: how far a test has moved the clock.
    pub(super) fn end(command: &mut Cmd, offset: i64) {
        if offset != 0 {
            command.arg(offset);
        }
    }
}

/// The longest time in a script, 158 years: the moment at its end has 13 digits until the year 2128,
/// as the layout wants it.
const LONGEST: i64 = 5_000_000_000_000;

/// The whole milliseconds of a duration, as the scripts can count them.
pub(super) fn millis(duration: Duration) -> i64 {
    record::millis(duration).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::super::places::RESERVED;

    #[test]
    fn all_keep_a_key_that_was_handed_over_for_the_same_time() {
        let millis = RESERVED.as_millis() - 1;
        assert!(include_str!("queue.lua").contains(&format!("local RESERVED = {millis}\n")));
        assert!(include_str!("update_one.lua").contains(&format!("now + {millis}, now)")));
    }
}
