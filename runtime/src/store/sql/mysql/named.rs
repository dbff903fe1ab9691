//! Statements for connections that belong to somebody else, whose futures may be dropped anywhere.
//!
//! They go as text: what is on its way when a text is dropped, the driver finds its way past, which it
//! does not when the server prepares a statement for it. The server keeps them prepared all the same,
//! under a name, so that it understands each of them once for a connection. A statement goes on meaning
//! the tables of the database that the connection was in, so the name has the identity of that in it, and
//! a claim asks whether the connection is still there.

use sqlx::{MySqlConnection, Row as _};

use super::super::failure::{Failure, Meaning};
use super::super::joins::DatabaseId;
use super::MYSQL;
use super::text::{Answer, Text, Value};

/// A statement and the name that it goes by on a connection.
#[derive(Debug)]
pub(super) struct Named {
    name: &'static str,
    /// With a question mark for each value, and no other.
    statement: &'static str,
}

/// Stands for the name of the database that the statement means.
macro_rules! here {
    () => {
        "@here"
    };
}
pub(super) use here;

const NO_IDENTITY: &str = "the identity of the database is missing";

/// The identity of the database and its name, read as [`IDENTITY`](super::IDENTITY) is.
const PLACE: &str = "select value, hex(database()) from oncely_meta where name = 'identity' \
     lock in share mode";

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
        self.execute(&mut text, home, values);
        match text.send(connection).await {
            Err(failure) if failure.meaning() == Meaning::Unprepared => {
                let mut text = Text::default();
                text.add(PLACE);
                let place = text.send(connection).await?;
                let place = place.rows.first();
                let place = place.ok_or_else(|| Failure::Corrupt(NO_IDENTITY.to_owned()))?;
                home.check(MYSQL, place.try_get(0)?)?;
                let here = format!("x'{}'", place.try_get::<&str, _>(1)?);
                let statement = self.statement.replace(here!(), &here);
                let mut text = Text::default();
                self.name(text.add("prepare "), home);
                text.add(" from ").value(statement.as_bytes()).add("; ");
                self.execute(&mut text, home, values);
                text.send(connection).await
            }
            answer => answer,
        }
    }

    fn execute(&self, text: &mut Text, home: DatabaseId, values: &[Value<'_>]) {
        self.name(text.add("execute "), home);
        text.add(" using ").list(values.iter().copied());
    }

    fn name(&self, text: &mut Text, home: DatabaseId) {
        text.add("`").add(self.name).add(" ").value(home.identity()).add("`");
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
        NAMED.execute(&mut text, DatabaseId::new(MYSQL, 42, true), &VALUES);
        assert_eq!(text.as_str(), "execute `name 42` using -7, x'6b273f', null");
    }

    #[test]
    fn values_stand_in_for_question_marks() {
        let text = NAMED.spelled_out(&VALUES);
        let spelled = "update t set a = -7, b = x'6b273f' where c = 1 and d = null";
        assert_eq!(text.as_str(), spelled);
    }
}
