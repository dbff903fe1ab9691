//! Statements for connections that belong to somebody else, whose futures may be dropped anywhere.
//!
//! They go as text: what is on its way when a text is dropped, the driver finds its way past, which it
//! does not when the server prepares a statement for it. The server keeps them prepared all the same,
//! under a name, so that it understands each of them once for a connection.

use sqlx::MySqlConnection;

use super::super::failure::{Failure, Meaning};
use super::super::joins::DatabaseId;
use super::text::{Answer, Text, Value};

/// A statement and the name that it goes by on a connection.
#[derive(Debug)]
pub(super) struct Named {
    name: &'static str,
    /// With a question mark for each value, and no other.
    statement: &'static str,
}

impl Named {
    /// The name must be that of this statement in all releases.
    pub(super) const fn new(name: &'static str, statement: &'static str) -> Self {
        Self { name, statement }
    }

    /// Sends it, and its statement first where the connection does not know it yet.
    pub(super) async fn send(
        &self,
        connection: &mut MySqlConnection,
        home: DatabaseId,
        values: &[Value<'_>],
    ) -> Result<Answer, Failure> {
        // Only MariaDB takes values by name without a variable for each.
        if !home.returns() {
            return self.spelled_out(values).send(connection).await;
        }
        let mut text = Text::default();
        self.execute(&mut text, values);
        match text.send(connection).await {
            Err(failure) if failure.meaning() == Meaning::Unprepared => {
                let mut text = Text::default();
                text.add("prepare ").add(self.name).add(" from ");
                text.value(self.statement.as_bytes()).add("; ");
                self.execute(&mut text, values);
                text.send(connection).await
            }
            answer => answer,
        }
    }

    fn execute(&self, text: &mut Text, values: &[Value<'_>]) {
        text.add("execute ").add(self.name).add(" using ").list(values.iter().copied());
    }

    /// The statement with the values in it.
    fn spelled_out(&self, values: &[Value<'_>]) -> Text {
        let mut text = Text::default();
        let mut values = values.iter();
        for part in self.statement.split_inclusive('?') {
            match part.strip_suffix('?') {
                Some(part) => {
                    text.add(part).value(values.next().copied().unwrap_or(Value::Null));
                }
                None => {
                    text.add(part);
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: Named = Named::new("name", "update t set a = ?, b = ? where c = 1 and d = ?");
    const VALUES: [Value<'_>; 3] = [Value::Number(-7), Value::Bytes(b"k'?"), Value::Null];

    #[test]
    fn values_follow_the_name() {
        let mut text = Text::default();
        NAMED.execute(&mut text, &VALUES);
        assert_eq!(text.as_str(), "execute name using -7, x'6b273f', null");
    }

    #[test]
    fn values_stand_in_for_question_marks() {
        let text = NAMED.spelled_out(&VALUES);
        let spelled = "update t set a = -7, b = x'6b273f' where c = 1 and d = null";
        assert_eq!(text.as_str(), spelled);
    }
}
