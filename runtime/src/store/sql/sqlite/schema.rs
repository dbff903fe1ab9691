//! The tables, and which versions of them this release knows.

use sqlx::{Connection as _, SqliteConnection};

use super::super::tables::{SqlDialect, VERSION, schema};
use super::error::Failure;

/// Makes the tables unless they are there. Refuses, before anything is changed, a database with
/// tables of a later release.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), Failure> {
    check(connection).await?;
    write_ahead(connection).await?;
    let mut transaction = connection.begin_with("begin immediate").await?;
    // Another process may have made the tables since.
    check(&mut transaction).await?;
    sqlx::raw_sql(schema(SqlDialect::Sqlite)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// What tells this file from others.
pub(super) async fn identity(connection: &mut SqliteConnection) -> Result<i64, Failure> {
    let identity: Option<i64> =
        sqlx::query_scalar("select value from oncely_meta where name = 'identity'")
            .fetch_optional(connection)
            .await?;
    identity.ok_or_else(|| Failure::Corrupt("the file has lost its identity".to_owned()))
}

async fn check(connection: &mut SqliteConnection) -> Result<(), Failure> {
    let present: i64 =
        sqlx::query_scalar("select count(*) from sqlite_master where name = 'oncely_meta'")
            .fetch_one(&mut *connection)
            .await?;
    if present == 0 {
        return Ok(());
    }
    let version: Option<i64> =
        sqlx::query_scalar("select value from oncely_meta where name = 'schema_version'")
            .fetch_optional(connection)
            .await?;
    match version {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => Err(Failure::Unsupported(format!(
            "the tables of oncely have version {newer} and this release knows version {VERSION}; \
             nothing was changed, use the release that made them or a later one"
        ))),
        Some(_) | None => Err(Failure::Unsupported(
            "the table `oncely_meta` does not come from oncely; nothing was changed, choose \
             another file"
                .to_owned(),
        )),
    }
}

/// Readers and the writer do not wait for each other in write-ahead mode. A file system that
/// cannot do it leaves the mode as it was, which is slower and just as safe.
async fn write_ahead(connection: &mut SqliteConnection) -> Result<(), Failure> {
    let mode: String =
        sqlx::query_scalar("pragma journal_mode").fetch_one(&mut *connection).await?;
    if !mode.eq_ignore_ascii_case("wal") {
        sqlx::raw_sql("pragma journal_mode = wal").execute(connection).await?;
    }
    Ok(())
}
