//! The tables, and which versions of them this release knows.

use sqlx::{Connection as _, SqliteConnection};

use super::error::Failure;

/// The version of the tables that this release makes and uses.
const VERSION: i64 = 1;

/// Keys are blobs, so that they are compared byte for byte (law *exact*). `oncely_meta` holds
/// what must outlive every record: the schema's version, and the last token, from which the
/// tokens of all keys come, so that purging a record never lets its key's tokens fall (law
/// *rising*).
const TABLES: &str = "
create table if not exists oncely_meta (
    name text primary key not null,
    value integer not null
);
create table if not exists oncely_records (
    key blob primary key not null,
    token integer not null,
    attempt_id blob not null,
    state integer not null,
    attempt integer not null,
    on_interrupted integer not null,
    fingerprint blob,
    expires_at integer not null,
    completed_at integer,
    outcome_code integer,
    outcome blob,
    purge_at integer
);
create index if not exists oncely_records_purge_at
    on oncely_records (purge_at) where purge_at is not null;
insert or ignore into oncely_meta (name, value) values ('last_token', 0), ('schema_version', 1);
";

/// Makes the tables unless they are there. Refuses, before anything is changed, a database with
/// tables of a later release.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<(), Failure> {
    check(connection).await?;
    write_ahead(connection).await?;
    let mut transaction = connection.begin_with("begin immediate").await?;
    // Another process may have made the tables since.
    check(&mut transaction).await?;
    sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
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
