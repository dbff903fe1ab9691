//! One file for each feature: the input on top, and below the line what becomes of it.
//! `BLESS=1 cargo test -p oncely-macros` writes the lower halves anew.

use std::fs;
use std::path::Path;

use super::{expanded, formatted};

const LINE: &str = "// ---- expands to ----\n";

#[test]
fn every_feature_expands_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/expansions");
    let mut different = Vec::new();
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let written = fs::read_to_string(&file).unwrap();
        let (input, expected) = written.split_once(LINE).unwrap_or((&written, ""));
        let output = formatted(expanded(input));
        if output == expected.trim_start() {
            continue;
        }
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, format!("{}\n\n{LINE}\n{output}", input.trim_end())).unwrap();
        } else {
            different.push(format!("{}:\n{output}", file.display()));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// People read expansions, in an editor and in a debugger.
#[test]
fn a_plain_function_expands_to_a_screenful() {
    let plain = r#"
        #[idempotent(key = "pay:<order>")]
        async fn pay(order: u64, amount: u64) -> Result<Receipt, PayError> {
            charge(order, amount).await
        }
    "#;
    let lines = formatted(expanded(plain)).lines().count();
    assert!(lines <= 40, "{lines} lines");
}
