//! The server's clock, as statements read it.

/// The server's time now, in microseconds.
macro_rules! micros {
    () => {
        "(date_part('epoch', clock_timestamp()) * 1000000)::int8"
    };
}
pub(super) use micros;

/// The time of the statement, in milliseconds: where it is asked for more than once.
macro_rules! millis_of_statement {
    () => {
        "(date_part('epoch', statement_timestamp()) * 1000000)::int8 / 1000"
    };
}
pub(super) use millis_of_statement;
