//! The rules of the house that a compiler does not check: who may import whom, and what a file
//! looks like.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the runtime, and the rooms each may look into. Imports point down only.
const IMPORTS: &[(&str, &[&str])] = &[
    (
        "lib",
        &[
            "__private",
            "http",
            "coordinator",
            "joined",
            "idempotency",
            "lock",
            "lease",
            "store",
            "model",
            "testing",
        ],
    ),
    (
        "__private",
        &["http", "coordinator", "joined", "idempotency", "lock", "lease", "store", "model"],
    ),
    ("http", &["coordinator", "idempotency", "lease", "store", "model"]),
    ("coordinator", &["joined", "idempotency", "lock", "lease", "store", "model"]),
    ("joined", &["idempotency", "lock", "lease", "store", "model"]),
    ("idempotency", &["lease", "store", "model"]),
    ("lock", &["lease", "store", "model"]),
    ("lease", &["store", "model"]),
    ("testing", &["store", "model"]),
    ("store", &["model"]),
    ("model", &[]),
];

const LONGEST_FILE: usize = 400;

#[test]
fn imports_point_down_only() {
    let mut broken = Vec::new();
    for file in rust_files("runtime/src") {
        let room = room_of(&file);
        let (_, allowed) = IMPORTS
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{} stands in no room of the table", file.display()));
        for (number, line) in code_lines(&file) {
            for import in line.match_indices("crate::").map(|(at, word)| &line[at + word.len()..]) {
                let target: String = import.chars().take_while(|c| is_word(*c)).collect();
                let is_room = IMPORTS.iter().any(|(name, _)| *name == target);
                // What the crate exports at its root lives in one of its rooms all the same.
                let is_export = target.starts_with(char::is_uppercase);
                if is_export || (is_room && target != room && !allowed.contains(&&*target)) {
                    broken.push(format!("{}:{number}: {room} imports {target}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "imports point up or sideways:\n{}", broken.join("\n"));
}

#[test]
fn a_store_sees_the_model_the_contract_and_its_driver_only() {
    let mut broken = Vec::new();
    for file in rust_files("runtime/src/store") {
        let backend = file.components().nth(3).unwrap();
        for (number, line) in code_lines(&file) {
            for other in ["memory", "sql", "redis"] {
                let is_own = backend.as_os_str().to_string_lossy().starts_with(other);
                let is_door = file.ends_with("store/mod.rs") || file.ends_with("store/connect.rs");
                if !is_own && !is_door && line.contains(&format!("store::{other}")) {
                    broken.push(format!("{}:{number}: sees the store {other}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_macros_name_one_runtime_path_in_one_place() {
    let mut places = Vec::new();
    for file in rust_files("macros/src") {
        // Expansions that are written down show what the users' crates get.
        if file.starts_with("macros/src/tests") {
            continue;
        }
        for (number, line) in code_lines(&file) {
            if line.contains("::oncely") {
                places.push((file.display().to_string(), number, line.trim().to_owned()));
            }
        }
    }
    let [(file, _, line)] = &*places else {
        panic!("the runtime has more than one door: {places:#?}");
    };
    assert_eq!(file, "macros/src/check/door.rs");
    assert!(line.contains("::oncely::__private"), "{line}");
}

#[test]
fn a_file_says_first_what_it_is_for_and_stays_short() {
    let mut broken = Vec::new();
    for file in rust_files("runtime/src").into_iter().chain(rust_files("macros/src")) {
        let text = read(&file);
        if !text.starts_with("//! ") {
            broken.push(format!("{}: opens without a `//!` sentence", file.display()));
        }
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            broken.push(format!("{}: {lines} lines, split it by meaning", file.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn names_are_the_words_of_the_field() {
    let mut broken = Vec::new();
    for file in rust_files("runtime/src").into_iter().chain(rust_files("macros/src")) {
        for (number, line) in code_lines(&file) {
            for word in ["Manager", "Helper", "mod utils", "mod helpers", "fn get_"] {
                if line.contains(word) {
                    broken.push(format!("{}:{number}: `{word}` says nothing", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn no_test_is_skipped() {
    let mut broken = Vec::new();
    for folder in ["runtime", "macros", "tests", "examples"] {
        for file in rust_files(folder).into_iter().filter(|file| !file.ends_with("tidy.rs")) {
            for (number, line) in code_lines(&file) {
                if line.trim_start().starts_with("#[ignore") {
                    broken.push(format!("{}:{number}", file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "ignored tests, which nobody runs:\n{}", broken.join("\n"));
}

#[test]
fn what_the_docs_say_of_mistakes_is_what_the_compiler_says() {
    let said: String = fs::read_dir(root().join("tests/ui/fail"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "stderr"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let docs = read(Path::new("macros/src/lib.rs"));
    let rows = docs.lines().scan(false, |in_table, line| {
        *in_table =
            line.starts_with("/// |") && (*in_table || line.ends_with("| the compiler says |"));
        Some(in_table.then_some(line))
    });
    let messages: Vec<_> = rows
        .flatten()
        .filter_map(|row| row.strip_suffix(" |")?.rsplit_once(" | "))
        .map(|(_, message)| message)
        .filter(|message| *message != "the compiler says")
        .collect();
    assert!(messages.len() > 30, "the tables of mistakes were not found");
    let unheard: Vec<_> = messages.iter().filter(|message| !said.contains(**message)).collect();
    assert!(unheard.is_empty(), "no UI case shows this: {unheard:#?}");
}

/// Paths from the root of the workspace, where `read` looks for them.
fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if path.ends_with("expansions") {
                // Snapshots: input and output, not code of the house.
            } else if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no Rust file below {folder}");
    files
}

fn room_of(file: &Path) -> String {
    let below = file.strip_prefix("runtime/src").unwrap();
    below.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The lines of code with their numbers: comments and doc tests may name anything.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = read(file);
    let code = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.map(|(index, line)| (index + 1, line.to_owned())).collect()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn read(file: &Path) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
