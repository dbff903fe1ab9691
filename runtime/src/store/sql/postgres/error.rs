//! What PostgreSQL's codes mean.

use super::super::failure::Meaning;

/// What the server means with an SQLSTATE.
pub(crate) fn meaning(code: &str) -> Meaning {
    match code {
        // Serialization failure, deadlock, a key that was taken while several were (see `claim`).
        "40001" | "40P01" | "22P02" => Meaning::Raced,
        "55P03" => Meaning::Blocked,
        "42P01" | "3F000" | "42703" => Meaning::Missing,
        "42501" => Meaning::Unsupported("the user lacks a right on the tables of oncely"),
        "28000" | "28P01" => Meaning::Unsupported("the server does not let this user in"),
        "3D000" => Meaning::Unsupported("there is no database of this name"),
        "26000" | "42P05" => Meaning::Unsupported(
            "prepared statements vanish between the client and the server; behind a pooler that \
             assigns servers to transactions add `statement-cache-capacity=0` to the URL",
        ),
        "25006" => Meaning::Unavailable("the server is a standby and cannot be written"),
        "53300" => Meaning::Unavailable("the server has no connection to spare"),
        "57P01" | "57P02" | "57P03" => Meaning::Disconnected,
        code if code.starts_with("08") => Meaning::Disconnected,
        // Resources, the operator, the system, the server itself.
        code if ["53", "57", "58", "XX"].iter().any(|class| code.starts_with(class)) => {
            Meaning::Unavailable("the server is in trouble")
        }
        _ => Meaning::Refused,
    }
}
