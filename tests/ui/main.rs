//! What compiles, and what does not and why. `TRYBUILD=overwrite tests/run ui` blesses the
//! messages; read every one of them before committing.

#[test]
fn messages_say_where_what_and_what_now() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
