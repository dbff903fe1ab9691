//! A database of each kind, with a table for the effects of bodies.

use std::time::Duration;

use oncely::Coordinator;
use oncely_tests::mysql::MySqlServer;
use oncely_tests::postgres::PostgresServer;
use sqlx::{MySql, Pool, Postgres, Sqlite};
use tempfile::TempDir;

/// A database, a pool on it, and a coordinator whose store is in it.
pub(crate) struct Place<DB: sqlx::Database> {
    pub(crate) pool: Pool<DB>,
    pub(crate) oncely: Coordinator,
    pub(crate) url: String,
    _folder: Option<TempDir>,
}

macro_rules! place {
    ($name:ident, $database:ty, $options:ty, $url:expr) => {
        pub(crate) async fn $name(connections: u32) -> Place<$database> {
            let (url, folder): (String, Option<TempDir>) = $url;
            let options: $options = url.parse().unwrap();
            let pool = sqlx::pool::PoolOptions::<$database>::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(20))
                .connect_with(options)
                .await
                .unwrap();
            sqlx::query("create table effects (name varchar(100) not null)")
                .execute(&pool)
                .await
                .unwrap();
            let oncely = Coordinator::connect(&url).await.unwrap();
            Place { pool, oncely, url, _folder: folder }
        }
    };
}

place!(postgres, Postgres, sqlx::postgres::PgConnectOptions, {
    (PostgresServer::shared().schema().await, None)
});
place!(mysql, MySql, sqlx::mysql::MySqlConnectOptions, {
    (MySqlServer::shared().database().await, None)
});
place!(sqlite, Sqlite, sqlx::sqlite::SqliteConnectOptions, {
    let folder = tempfile::tempdir().unwrap();
    (format!("sqlite://{}/records.db?mode=rwc", folder.path().display()), Some(folder))
});

/// The statement that leaves an effect.
pub(crate) const EFFECT: &str = "insert into effects values ('paid')";

/// How many effects became real.
macro_rules! effects {
    ($place:expr) => {
        sqlx::query_scalar::<_, i64>("select count(*) from effects")
            .fetch_one(&$place.pool)
            .await
            .unwrap()
    };
}

/// Makes each function a test on every database. Inside, `Tx` is a transaction of it.
macro_rules! on_every_database {
    ($($(#[$attribute:meta])* async fn $name:ident($place:ident: $connections:literal) $body:block)+) => {
        mod postgres {
            #[allow(unused_imports)]
            use super::*;
            #[allow(dead_code)]
            pub(crate) type Tx<'t> = sqlx::Transaction<'t, sqlx::Postgres>;
            #[allow(dead_code)]
            pub(crate) type AnyPool = sqlx::PgPool;
            on_every_database!(@tests postgres $($(#[$attribute])* $name $place $connections $body)+);
        }
        mod mysql {
            #[allow(unused_imports)]
            use super::*;
            #[allow(dead_code)]
            pub(crate) type Tx<'t> = sqlx::Transaction<'t, sqlx::MySql>;
            #[allow(dead_code)]
            pub(crate) type AnyPool = sqlx::MySqlPool;
            on_every_database!(@tests mysql $($(#[$attribute])* $name $place $connections $body)+);
        }
        mod sqlite {
            #[allow(unused_imports)]
            use super::*;
            #[allow(dead_code)]
            pub(crate) type Tx<'t> = sqlx::Transaction<'t, sqlx::Sqlite>;
            #[allow(dead_code)]
            pub(crate) type AnyPool = sqlx::SqlitePool;
            on_every_database!(@tests sqlite $($(#[$attribute])* $name $place $connections $body)+);
        }
    };
    (@tests $database:ident $($(#[$attribute:meta])* $name:ident $place:ident $connections:literal $body:block)+) => {
        $(
            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let $place = std::sync::Arc::new(crate::database::$database($connections).await);
                $body
            }
        )+
    };
}
