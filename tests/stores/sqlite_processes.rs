//! Several processes on one file.

use std::process::{Command, Stdio};

use oncely_tests::processes::passing::{PROCESSES, ROUNDS};

/// Several processes open a new file at once and pass one lock around.
#[test]
fn processes_that_start_together_share_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..PROCESSES)
        .map(|_| {
            Command::new(env!("CARGO_BIN_EXE_role"))
                .args(["passes_a_lock_around".as_ref(), folder.path().as_os_str()])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut tokens = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let own: Vec<u64> = text.lines().map(|token| token.parse().unwrap()).collect();
        assert!(own.is_sorted(), "tokens fell: {own:?}");
        tokens.extend(own);
    }
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), PROCESSES * ROUNDS, "tokens were given twice");
}
