//! Files that are there, are missing, or are something else: opened, or refused with advice and
//! left alone.

use std::path::Path;
use std::time::Duration;

use oncely::store::sql::sqlite::SqliteStore;
use oncely::store::{Acquired, Key, LeaseRequest, Store, StoreError, StoreErrorKind};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

async fn connect(url: &str) -> Result<SqliteStore, StoreError> {
    SqliteStore::connect(url).await
}

/// The error of connecting, which must be of this kind and say this.
async fn refused(url: &str, kind: StoreErrorKind, advice: &str) {
    let error = connect(url).await.expect_err(url);
    assert_eq!(error.kind(), kind, "{url}: {error}");
    assert!(error.to_string().contains(advice), "{url}: `{error}` does not say `{advice}`");
}

async fn works(store: &SqliteStore) {
    let key = Key::lock("files", "key").unwrap();
    let request = LeaseRequest::new(key, Duration::from_secs(60));
    let answer = store.acquire(&[request]).await.unwrap();
    assert!(matches!(answer, Acquired::Leases(_)), "{answer:?}");
}

/// A connection beside the store's.
async fn raw(path: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    options.create_if_missing(true).connect().await.unwrap()
}

#[tokio::test]
async fn urls_name_files_as_they_read() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().display();
    for (url, file) in [
        (format!("sqlite://{base}/plain.db"), "plain.db"),
        (format!("sqlite:{base}/short.db"), "short.db"),
        (format!("sqlite://{base}/with%20escape.db"), "with escape.db"),
        (format!("sqlite://{base}/with space.db"), "with space.db"),
        (format!("sqlite://{base}/100%25.db"), "100%.db"),
        (format!("sqlite://{base}/what%3F.db"), "what?.db"),
        (format!("sqlite://{base}/hash#.db"), "hash#.db"),
        (format!("sqlite://{base}/caf\u{e9}.db"), "caf\u{e9}.db"),
        (format!("sqlite://{base}/created.db?mode=rwc"), "created.db"),
    ] {
        works(&connect(&url).await.expect(&url)).await;
        assert!(folder.path().join(file).is_file(), "{url} did not make `{file}`");
    }
}

#[tokio::test]
async fn a_file_in_memory_is_refused() {
    for url in [
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite://%3Amemory%3A",
        "sqlite://records.db?mode=memory",
        "sqlite://",
        "sqlite:",
        "sqlite:file::memory:",
    ] {
        refused(url, StoreErrorKind::Unsupported, "use `memory:`").await;
    }
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_refused() {
    refused("sqlite://a.db?mode=fast", StoreErrorKind::Unsupported, "URL").await;
    refused("sqlite://a.db?speed=high", StoreErrorKind::Unsupported, "URL").await;
    refused("sqlite://a%FFb.db", StoreErrorKind::Unsupported, "URL").await;
    refused("sqlite://a%00b.db", StoreErrorKind::Unsupported, "URL").await;
}

#[tokio::test]
async fn a_path_that_cannot_be_opened_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().display();
    let missing_folder = format!("sqlite://{base}/missing/records.db");
    refused(&missing_folder, StoreErrorKind::Unavailable, "a folder that exists").await;
    assert!(!folder.path().join("missing").exists());
    refused(&format!("sqlite://{base}"), StoreErrorKind::Unavailable, "must name a file").await;
    let missing_file = format!("sqlite://{base}/missing.db?mode=rw");
    refused(&missing_file, StoreErrorKind::Unavailable, "must name a file").await;
    assert!(!folder.path().join("missing.db").exists());
    refused("sqlite:///proc/records.db", StoreErrorKind::Unavailable, "can be written").await;
}

#[tokio::test]
async fn a_file_that_may_only_be_read_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let url = format!("sqlite://{}", path.display());
    // An empty database, then one with the tables.
    raw(&path).await.execute_and_close("create table mine (id integer)").await;
    let before = std::fs::read(&path).unwrap();
    refused(&format!("{url}?mode=ro"), StoreErrorKind::Unavailable, "cannot be written").await;
    assert_eq!(std::fs::read(&path).unwrap(), before, "the file was changed");

    works(&connect(&url).await.unwrap()).await;
    refused(&format!("{url}?mode=ro"), StoreErrorKind::Unavailable, "cannot be written").await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let url = format!("sqlite://{}", path.display());
    for content in ["short".to_owned(), "not a database\n".repeat(1000)] {
        std::fs::write(&path, &content).unwrap();
        refused(&url, StoreErrorKind::Unsupported, "not an SQLite database").await;
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "the file was changed");
    }
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "something was left beside the file");
}

#[tokio::test]
async fn tables_of_a_later_release_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let url = format!("sqlite://{}", path.display());
    let later = "create table oncely_meta (name text primary key, value integer);
        insert into oncely_meta values ('schema_version', 7);
        create table oncely_records (key blob, something_else text)";
    raw(&path).await.execute_and_close(later).await;
    let before = std::fs::read(&path).unwrap();
    refused(&url, StoreErrorKind::Unsupported, "version 7").await;
    refused(&url, StoreErrorKind::Unsupported, "version 1").await;
    assert_eq!(std::fs::read(&path).unwrap(), before, "the file was changed");
}

#[tokio::test]
async fn tables_that_only_have_the_name_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, tables) in [
        ("columns.db", "create table oncely_meta (id integer); insert into oncely_meta values (1)"),
        ("version.db", "create table oncely_meta (name text, value integer)"),
        (
            "zero.db",
            "create table oncely_meta (name, value);
            insert into oncely_meta values ('schema_version', 0)",
        ),
    ] {
        let path = folder.path().join(name);
        raw(&path).await.execute_and_close(tables).await;
        let before = std::fs::read(&path).unwrap();
        refused(
            &format!("sqlite://{}", path.display()),
            StoreErrorKind::Unsupported,
            "oncely_meta",
        )
        .await;
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name} was changed");
    }
}

#[tokio::test]
async fn your_own_tables_and_settings_in_the_file_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let own = "pragma page_size = 8192; pragma user_version = 42; pragma application_id = 99;
        create table orders (id integer primary key, note text);
        insert into orders values (1, 'kept')";
    raw(&path).await.execute_and_close(own).await;
    let store = connect(&format!("sqlite://{}", path.display())).await.unwrap();
    works(&store).await;
    let mut connection = raw(&path).await;
    let note: String = sqlx::query_scalar("select note from orders where id = 1")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(note, "kept");
    for (pragma, value) in
        [("pragma user_version", 42), ("pragma application_id", 99), ("pragma page_size", 8192)]
    {
        let found: i64 = sqlx::query_scalar(pragma).fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, value, "{pragma}");
    }
    let names: Vec<String> =
        sqlx::query_scalar("select name from sqlite_master where name not like 'sqlite_%'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let foreign: Vec<_> = names.iter().filter(|name| !name.starts_with("oncely_")).collect();
    assert_eq!(foreign, ["orders"]);
}

#[tokio::test]
async fn a_file_that_vanished_is_not_made_again_behind_your_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let store = connect(&format!("sqlite://{}", path.display())).await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    // The first look opens a reader.
    let request = LeaseRequest::new(Key::lock("files", "key").unwrap(), Duration::from_secs(1));
    let error = store.acquire(&[request]).await.expect_err("a store without a file");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(!path.exists());
}

trait ExecuteAndClose {
    async fn execute_and_close(self, sql: &'static str);
}

impl ExecuteAndClose for SqliteConnection {
    async fn execute_and_close(mut self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&mut self).await.unwrap();
        self.close().await.unwrap();
    }
}
