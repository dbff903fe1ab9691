//! The tables, made where they may be, and checked.

use sqlx::{Connection as _, PgConnection};

use super::super::failure::{Failure, Meaning};
use super::super::tables::{self, SqlDialect, VERSION, schema};

/// Any number that no other application is likely to choose: `oncely`, as ASCII.
const MAKING_TABLES: i64 = 0x6f6e_6365_6c79;

/// Makes the tables unless they are there. Refuses, before anything is changed, a database with
/// tables of another release.
pub(super) async fn prepare(connection: &mut PgConnection) -> Result<i64, Failure> {
    match check(connection).await {
        Err(failure) if failure.meaning() == Meaning::Missing => {}
        checked => return checked,
    }
    let mut transaction = connection.begin().await?;
    // Two that make the same table at once would disturb each other, and who comes second waits.
    sqlx::raw_sql("set local lock_timeout = 0").execute(&mut *transaction).await?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .persistent(false)
        .bind(MAKING_TABLES)
        .execute(&mut *transaction)
        .await?;
    let made = sqlx::raw_sql(schema(SqlDialect::Postgres)).execute(&mut *transaction).await;
    made.map_err(|error| match Failure::from(error) {
        // Who may not make tables is told that they are missing.
        Failure::Sql(error, Meaning::Unsupported(_)) => Failure::Sql(error, Meaning::Missing),
        failure => failure,
    })?;
    transaction.commit().await?;
    check(connection).await
}

async fn check(connection: &mut PgConnection) -> Result<i64, Failure> {
    let version = "select value from oncely_meta where name = 'schema_version'";
    let identity = "select identity from oncely_floor";
    let mut transaction = connection.begin().await?;
    let mut found: Vec<i64> =
        sqlx::query_scalar(version).persistent(false).fetch_all(&mut *transaction).await?;
    if found == [VERSION] {
        let identity = sqlx::query_scalar::<_, i64>(identity).persistent(false);
        found.extend(identity.fetch_optional(&mut *transaction).await?);
    }
    transaction.rollback().await?;
    tables::check(&found)
}
