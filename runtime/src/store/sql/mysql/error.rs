//! What the numbers of MySQL and MariaDB mean.

use super::super::failure::Meaning;

/// What the server means with an error number.
pub(crate) fn meaning(number: u16) -> Meaning {
    match number {
        // Deadlock, a snapshot that is too old, a row that somebody else inserted.
        1213 | 1020 | 1062 => Meaning::Raced,
        1205 | 3572 => Meaning::Blocked,
        1146 | 1054 => Meaning::Missing,
        1243 => Meaning::Unprepared,
        // There is no floor for the tokens.
        1048 => Meaning::Corrupt,
        1044 | 1142 | 1143 | 1227 => {
            Meaning::Unsupported("the user lacks a right on the tables of oncely")
        }
        1045 | 1698 => Meaning::Unsupported("the server does not let this user in"),
        1046 | 1049 => Meaning::Unsupported("there is no database of this name"),
        1064 => Meaning::Unsupported("the server is too old; use MySQL 8.0.1 or MariaDB 10.6"),
        1290 | 1792 | 1836 => Meaning::Unavailable("the server is read-only"),
        1040 | 1203 => Meaning::Unavailable("the server has no connection to spare"),
        1153 => Meaning::Unavailable("`max_allowed_packet` is too small for the outcome"),
        1053 | 1152 | 1159 | 1160 | 1161 | 1317 | 1927 | 2006 | 2013 => Meaning::Disconnected,
        // A full disk, memory, files, threads.
        1021 | 1037 | 1038 | 1041 | 1135 | 1180 => Meaning::Unavailable("the server is in trouble"),
        _ => Meaning::Refused,
    }
}
