//! Several statements in one message: what goes to the server, and what comes back.

use std::fmt::Write as _;

use futures_util::StreamExt as _;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Either, Executor as _, MySqlConnection, Row as _};

use super::super::failure::Failure;

/// Statements that are sent together. They hold nothing but numbers and hexadecimal digits of what
/// comes from outside.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// A value in a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'value> {
    Number(i64),
    Bytes(&'value [u8]),
    Null,
    /// The name of the database that the connection is in.
    Database,
}

impl Text {
    /// Adds text that this crate wrote.
    pub(super) fn add(&mut self, text: &'static str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    /// Adds a value.
    pub(super) fn value<'value>(&mut self, value: impl Into<Value<'value>>) -> &mut Self {
        match value.into() {
            Value::Number(number) => {
                let _ = write!(self.0, "{number}");
            }
            Value::Null => self.0.push_str("null"),
            Value::Database => self.0.push_str("database()"),
            Value::Bytes(bytes) => {
                self.0.reserve(bytes.len() * 2 + 3);
                self.0.push_str("x'");
                hexadecimal(&mut self.0, bytes);
                self.0.push('\'');
            }
        }
        self
    }

    /// Adds a list of values.
    pub(super) fn list<'value, V: Into<Value<'value>>>(
        &mut self,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.0.push_str(", ");
            }
            self.value(value);
        }
        self
    }

    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Sends the statements, and gives what each changed and the rows of all.
    pub(super) async fn send(self, connection: &mut MySqlConnection) -> Result<Answer, Failure> {
        let mut answer = Answer::default();
        let mut results = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(self.0)));
        while let Some(result) = results.next().await {
            match result? {
                Either::Left(done) => answer.changed.push(done.rows_affected()),
                Either::Right(row) => answer.rows.push(row),
            }
        }
        Ok(answer)
    }
}

/// The number that a question finds.
pub(super) async fn number(
    connection: &mut MySqlConnection,
    question: &'static str,
) -> Result<Option<i64>, Failure> {
    let mut text = Text::default();
    text.add(question);
    let answer = text.send(connection).await?;
    Ok(answer.rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// Adds the digits of bytes.
pub(super) fn hexadecimal(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What came back.
#[derive(Default)]
pub(super) struct Answer {
    /// How many rows each statement changed.
    pub(super) changed: Vec<u64>,
    /// The rows of the statements that have any, one after the other.
    pub(super) rows: Vec<MySqlRow>,
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<'value, const LENGTH: usize> From<&'value [u8; LENGTH]> for Value<'value> {
    fn from(bytes: &'value [u8; LENGTH]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'value> From<&'value [u8]> for Value<'value> {
    fn from(bytes: &'value [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'value> From<&'value Vec<u8>> for Value<'value> {
    fn from(bytes: &'value Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'value, V: Into<Value<'value>>> From<Option<V>> for Value<'value> {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
