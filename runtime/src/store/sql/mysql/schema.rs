//! The tables, made where they may be, and checked.

use sqlx::MySqlConnection;

use super::super::failure::{Failure, Meaning};
use super::super::tables::{self, SqlDialect, schema};

/// Makes the tables unless they are there. Refuses, before anything is changed, a database with
/// tables of another release.
pub(super) async fn prepare(connection: &mut MySqlConnection) -> Result<i64, Failure> {
    match check(connection).await {
        Err(failure) if failure.meaning() == Meaning::Missing => {}
        // The first table is there, and somebody is about to make the others.
        Err(Failure::Unsupported(_)) if is_new(connection).await? => {}
        // Who was about to may have done so between the two questions.
        Err(Failure::Unsupported(_)) => return check(connection).await,
        checked => return checked,
    }
    let made = sqlx::raw_sql(schema(SqlDialect::MySql)).execute(&mut *connection).await;
    made.map_err(|error| match Failure::from(error) {
        // Who may not make tables is told that they are missing.
        Failure::Sql(error, Meaning::Unsupported(_)) => Failure::Sql(error, Meaning::Missing),
        failure => failure,
    })?;
    check(connection).await
}

async fn check(connection: &mut MySqlConnection) -> Result<i64, Failure> {
    let question = "select value from oncely_meta where name in ('schema_version', 'identity') order by name desc";
    let found: Vec<i64> = sqlx::query_scalar(question).fetch_all(connection).await?;
    tables::check(&found)
}

async fn is_new(connection: &mut MySqlConnection) -> Result<bool, Failure> {
    let rows: i64 =
        sqlx::query_scalar("select count(*) from oncely_meta").fetch_one(connection).await?;
    Ok(rows == 0)
}
