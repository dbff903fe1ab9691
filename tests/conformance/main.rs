//! Every store keeps the eleven laws; and the suite that says so notices when one does not.

mod planted_faults;

mod reference {
    oncely::store_laws!(oncely_tests::reference::ReferenceFixture::new(None));
}

mod memory {
    oncely::store_laws!(oncely_tests::memory::MemoryFixture::new());
}

mod sqlite {
    oncely::store_laws!(oncely_tests::sqlite::SqliteFixture::new());
}

mod redis {
    oncely::store_laws!(oncely_tests::redis::RedisFixture::new());
}

mod postgres {
    oncely::store_laws!(oncely_tests::postgres::PostgresFixture::new().await);
}

mod mysql {
    oncely::store_laws!(oncely_tests::mysql::MySqlFixture::new().await);
}

mod redis_over_tls {
    oncely::store_laws!(oncely_tests::redis::RedisFixture::over_tls());
}

mod redis_cluster {
    oncely::store_laws!(oncely_tests::cluster::ClusterFixture::new());
}
