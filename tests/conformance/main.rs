//! Every store keeps the eleven laws; and the suite that says so notices when one does not.

mod planted_faults;

mod reference {
    oncely::store_laws!(oncely_tests::reference::ReferenceFixture::new(None));
}

mod sqlite {
    oncely::store_laws!(oncely_tests::sqlite::SqliteFixture::new());
}
