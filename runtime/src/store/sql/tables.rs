//! The tables that a store keeps its records in, as versioned SQL.

/// The version of the tables that this release makes and uses.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
pub(super) const VERSION: i64 = 1;

/// A kind of SQL database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SqlDialect {
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres,
    /// MySQL and MariaDB.
    #[cfg(feature = "mysql")]
    MySql,
    /// SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite,
}

/// The statements that make the tables of this release, for your own migrations.
///
/// A store makes its tables by itself where it may. Where it may not, or where every table comes
/// from a migration, run these with whatever runs your migrations. They may be run again: what is
/// there stays.
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// use oncely::store::sql::{SqlDialect, schema};
///
/// assert!(schema(SqlDialect::Sqlite).contains("oncely_records"));
/// # }
/// ```
pub fn schema(dialect: SqlDialect) -> &'static str {
    match dialect {
        #[cfg(feature = "postgres")]
        SqlDialect::Postgres => include_str!("postgres/schema.sql"),
        #[cfg(feature = "mysql")]
        SqlDialect::MySql => include_str!("mysql/schema.sql"),
        #[cfg(feature = "sqlite")]
        SqlDialect::Sqlite => include_str!("sqlite/schema.sql"),
    }
}

/// What the version and the identity mean that were found; the identity, if the version is ours.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) fn check(found: &[i64]) -> Result<i64, super::failure::Failure> {
    use super::failure::Failure::Unsupported;
    match *found {
        [VERSION, identity] => Ok(identity),
        [newer, ..] if newer > VERSION => Err(Unsupported(format!(
            "the tables of oncely have version {newer} and this release knows version {VERSION}; \
             nothing was changed, use the release that made them or a later one"
        ))),
        _ => Err(Unsupported(
            "the table `oncely_meta` does not come from oncely; nothing was changed".to_owned(),
        )),
    }
}
