//! Rows that this release did not write: understood, or refused and left alone.

use std::time::Duration;

use oncely::store::sql::sqlite::SqliteStore;
use oncely::store::{
    Acquired, Fingerprint, Key, Lease, LeaseRequest, RecordState, Store, StoreErrorKind,
    StoredOutcome, Token, Update, Updated,
};
use oncely_tests::sqlite::SqliteFixture;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

const LONG: Duration = Duration::from_secs(60);

async fn raw(fixture: &SqliteFixture) -> SqliteConnection {
    let options: sqlx::sqlite::SqliteConnectOptions = fixture.url().parse().unwrap();
    options.connect().await.unwrap()
}

fn request(name: &str) -> LeaseRequest {
    LeaseRequest::new(Key::lock("rows", name).unwrap(), LONG)
}

async fn take(store: &SqliteStore, request: &LeaseRequest) -> Lease {
    match store.acquire(std::slice::from_ref(request)).await.unwrap() {
        Acquired::Leases(mut leases) => leases.pop().unwrap(),
        Acquired::Occupied(occupant) => panic!("{occupant:?}"),
    }
}

/// All columns of all rows, as text.
async fn dump(connection: &mut SqliteConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select hex(key) || quote(token) || quote(attempt_id) || quote(state) || quote(attempt) \
         || quote(on_interrupted) || quote(fingerprint) || quote(expires_at) \
         || quote(completed_at) || quote(outcome_code) || quote(outcome) || quote(purge_at) \
         from oncely_records order by key",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_row_that_cannot_be_understood_is_corrupt_and_stays() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let mut connection = raw(&fixture).await;
    for change in [
        "state = 9",
        "state = -1",
        "state = 'in progress'",
        "state = x'00'",
        "state = 0.5",
        "token = -1",
        "token = 9007199254740992",
        "token = 'seven'",
        "attempt = -1",
        "attempt = 4294967296",
        "on_interrupted = 2",
        "fingerprint = x'0102'",
        "fingerprint = ''",
        "fingerprint = 17",
        "attempt_id = x''",
        "attempt_id = x'0102'",
        "expires_at = 'tomorrow'",
        "expires_at = 1.5",
        "state = 1, outcome_code = null",
        "state = 1, outcome_code = null, outcome = x'61', completed_at = 5",
        "state = 1, outcome_code = 0, outcome = x'61', completed_at = null",
        "state = 1, outcome_code = 1, outcome = null, completed_at = 5",
        "state = 1, outcome_code = 'x', outcome = x'61', completed_at = 5",
    ] {
        let request = request(change);
        let lease = take(&store, &request).await;
        let sql = format!("update oncely_records set {change} where key = ?");
        let change_it = sqlx::query(AssertSqlSafe(sql)).bind(lease.key.as_str().as_bytes());
        change_it.execute(&mut connection).await.unwrap();
        let before = dump(&mut connection).await;

        let rival = LeaseRequest::new(request.key.clone(), LONG);
        for requests in [vec![rival.clone()], vec![self::request("beside"), rival]] {
            let error = store.acquire(&requests).await.expect_err(change);
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{change}: {error}");
        }
        for update in [Update::Release, Update::Renew { lease: LONG }] {
            let error = store.update(&[(lease.clone(), update)]).await.expect_err(change);
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{change}: {error}");
        }
        assert_eq!(dump(&mut connection).await, before, "{change}: the record was changed");
    }
    // The rest of the store goes on.
    take(&store, &request("sound")).await;
}

#[tokio::test]
async fn an_outcome_of_a_later_release_is_foreign() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let mut connection = raw(&fixture).await;
    for code in [3_i64, 17, 255, 256, 70_000, -1] {
        let request = request(&code.to_string());
        let lease = take(&store, &request).await;
        let outcome = StoredOutcome::Value((*b"later").into());
        let update = Update::Complete { outcome, retention: LONG };
        store.update(&[(lease.clone(), update)]).await.unwrap();
        sqlx::query("update oncely_records set outcome_code = ? where key = ?")
            .bind(code)
            .bind(lease.key.as_str().as_bytes())
            .execute(&mut connection)
            .await
            .unwrap();
        let before = dump(&mut connection).await;
        match store.acquire(&[request]).await.unwrap() {
            Acquired::Occupied(occupant) => assert!(
                matches!(
                    occupant.state,
                    RecordState::Completed { outcome: StoredOutcome::Foreign, .. }
                ),
                "{code}: {occupant:?}"
            ),
            Acquired::Leases(leases) => panic!("{code}: {leases:?}"),
        }
        assert_eq!(dump(&mut connection).await, before);
    }
}

#[tokio::test]
async fn a_floor_that_is_none_is_corrupt() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let mut connection = raw(&fixture).await;
    for set in ["value = 9007199254740991", "value = -5", "value = 'many'", "name = 'lost'"] {
        let sql = format!("update oncely_meta set {set} where name = 'token_floor'");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        let error = store.acquire(&[request("key")]).await.expect_err(set);
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{set}: {error}");
    }
    assert!(dump(&mut connection).await.is_empty());
}

#[tokio::test]
async fn a_floor_that_was_set_back_does_not_let_a_keys_tokens_fall() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let first = take(&store, &request("key")).await;
    store.update(&[(first.clone(), Update::Release)]).await.unwrap();
    let mut connection = raw(&fixture).await;
    sqlx::raw_sql("update oncely_meta set value = 0 where name = 'token_floor'")
        .execute(&mut connection)
        .await
        .unwrap();
    let second = take(&store, &request("key")).await;
    assert!(second.token > first.token, "{second:?} came after {first:?}");
}

#[tokio::test]
async fn tables_that_were_dropped_are_unsupported() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let mut connection = raw(&fixture).await;
    sqlx::raw_sql("drop table oncely_records").execute(&mut connection).await.unwrap();
    let error = store.acquire(&[request("key")]).await.expect_err("no table");
    assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{error}");
    // Made again, the store goes on.
    let again = fixture.open().await;
    take(&again, &request("key")).await;
    take(&store, &request("another")).await;
}

#[tokio::test]
async fn lengths_and_tokens_at_the_edge_do_no_harm() {
    let fixture = SqliteFixture::new();
    let store = fixture.open().await;
    let endless = LeaseRequest::new(request("endless").key, Duration::MAX);
    let lease = take(&store, &endless).await;
    let stranger = Lease::new(lease.key.clone(), Token::new(u64::MAX), 1);
    let renew = Update::Renew { lease: Duration::MAX };
    let outcome = StoredOutcome::Absent;
    let complete = Update::Complete { outcome, retention: Duration::MAX };
    let updates = [(stranger, Update::Release), (lease.clone(), renew), (lease.clone(), complete)];
    let answers = store.update(&updates).await.unwrap();
    assert_eq!(answers, [Updated::Lost, Updated::Applied, Updated::Applied]);
    fixture.clock().step_back(Duration::MAX);
    assert!(matches!(store.acquire(&[endless]).await.unwrap(), Acquired::Occupied(_)));
    let fingerprint = Fingerprint::from_bytes(&[7; Fingerprint::BYTES]).unwrap();
    take(&store, &request("before 1970").with_fingerprint(fingerprint)).await;
    assert_eq!(store.acquire(&[]).await.unwrap().into_leases().len(), 0);
    assert!(store.update(&[]).await.unwrap().is_empty());
}

trait IntoLeases {
    fn into_leases(self) -> Vec<Lease>;
}

impl IntoLeases for Acquired {
    fn into_leases(self) -> Vec<Lease> {
        match self {
            Self::Leases(leases) => leases,
            Self::Occupied(occupant) => panic!("{occupant:?}"),
        }
    }
}
