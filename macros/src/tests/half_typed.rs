//! No input makes the attributes panic: an editor asks them about every half-typed state.

use std::time::{Duration, Instant};

use proc_macro2::{Group, TokenStream, TokenTree};

use crate::attribute::{Kind, attribute};

const OPTIONS: [&str; 6] = [
    r#"key = "pay:<request.id>:<0>", operation = "pay", skip(clock), retention = "24h""#,
    r#"lease = "1m", max_hold = "1h", wait = "0s", remember_errors = is_final"#,
    r#"on_interrupted = "hold", on_store_error = "run", detached, tx = tx, begin(tx = self.pool)"#,
    r#"scope = "<self.user>", coordinator = self.coordinator.clone(), remember_errors"#,
    r#"keys = ["a:<from>", "b:<1>"], on_busy = "skip""#,
    r#"key = "a:<fr", keys = [], on_busy = skip, 30s, = , wait = , lease = "1", "text""#,
];

const ITEMS: [&str; 4] = [
    "pub async fn pay(self: Arc<Self>, request: Request, mut a: u8, (b, _): (u8, u8)) \
     -> Result<T, E> where T: Send { #![allow(x)] let x = request.; x }",
    "#[with_lock(key = \"<from>\")] #[idempotent] async fn f<'a>(from: &'a str) -> R<&str>;",
    "fn f(&self, __arg1: u8) -> Pin<Box<dyn Future<Output = Result<u8, E>> + Send>> { \
     Box::pin(async move { let __self = self; let (x, y) = { let __arg1 = __arg1; __arg1 }; \
     let __ret: Result<u8, E> = { Ok(x) }; __ret }) }",
    "struct NotAFunction { field: u8 }",
];

#[test]
fn a_missing_token_anywhere_is_survived() {
    for options in OPTIONS {
        for item in ITEMS {
            let options: TokenStream = options.parse().unwrap();
            let item: TokenStream = item.parse().unwrap();
            for options in without_each(&options) {
                expand(&options, &item);
            }
            for item in without_each(&item) {
                expand(&options, &item);
            }
        }
    }
}

#[test]
fn an_end_anywhere_is_survived() {
    for options in OPTIONS {
        for item in ITEMS {
            let options: Vec<TokenTree> =
                options.parse::<TokenStream>().unwrap().into_iter().collect();
            let item: Vec<TokenTree> = item.parse::<TokenStream>().unwrap().into_iter().collect();
            for end in 0..=options.len().max(item.len()) {
                let options = options.iter().take(end).cloned().collect();
                expand(&options, &item.iter().cloned().collect());
                expand(&options, &item.iter().take(end).cloned().collect());
            }
        }
    }
}

/// What is no option's value is shown where it stands, however long it is.
#[test]
fn a_long_row_of_ranges_takes_no_time() {
    // Found by the fuzzer.
    let (long, short) = (".. ".repeat(27), ".. ".repeat(7));
    let attributes = "#[idempotent] ".repeat(7);
    let text = format!("on_store_error = key = {long} wait = {short} {attributes} \"24h\"");
    let options: TokenStream = text.parse().unwrap();
    let start = Instant::now();
    expand(&options, &"async fn f(a: u8) -> Result<u8, E> { a }".parse().unwrap());
    assert!(start.elapsed() < Duration::from_secs(5));
}

fn expand(options: &TokenStream, item: &TokenStream) {
    for kind in [Kind::Idempotent, Kind::WithLock] {
        attribute(kind, options.clone(), item.clone());
    }
}

/// The stream with each of its tokens left out in turn, those in groups included.
fn without_each(tokens: &TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut streams = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = || tokens.iter().take(at).cloned();
        let after = || tokens.iter().skip(at + 1).cloned();
        streams.push(before().chain(after()).collect());
        if let TokenTree::Group(group) = token {
            streams.extend(without_each(&group.stream()).into_iter().map(|inner| {
                let group = TokenTree::Group(Group::new(group.delimiter(), inner));
                before().chain([group]).chain(after()).collect()
            }));
        }
    }
    streams
}
