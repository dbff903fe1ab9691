//! What does not compile, in the words the user reads.

use proc_macro2::{TokenStream, TokenTree};
use syn::{LitStr, parse2};

use super::expanded;

/// The messages of all `compile_error!`s.
fn problems(source: &str) -> Vec<String> {
    messages(expanded(source))
}

fn messages(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for window in tokens.windows(3) {
        if let [TokenTree::Ident(name), TokenTree::Punct(_), TokenTree::Group(text)] = window
            && name == "compile_error"
        {
            found.push(parse2::<LitStr>(text.stream()).unwrap().value());
        }
    }
    found
}

/// Puts options at a plain function and expects one problem: what, and what now.
fn assert_problem(attribute: &str, what: &str, help: &str) {
    let source = format!(
        "#[{attribute}] async fn pay(order_id: u64, amount: u32) -> Result<(), E> {{ Ok(()) }}"
    );
    assert_eq!(problems(&source), [format!("{what}\n= help: {help}")], "{attribute}");
}

fn assert_function(function: &str, what: &str, help: &str) {
    let source = format!("#[idempotent] {function}");
    assert_eq!(problems(&source), [format!("{what}\n= help: {help}")], "{function}");
}

#[test]
fn an_unknown_placeholder_names_the_nearest_argument() {
    assert_problem(
        r#"with_lock(key = "order:<order_di>")"#,
        "`<order_di>` is not an argument of `pay`",
        "did you mean `<order_id>`? the arguments are `order_id`, `amount`",
    );
    assert_problem(
        r#"idempotent(key = "order:<ordre_id.no>")"#,
        "`<ordre_id.no>` starts with `ordre_id`, which is not an argument of `pay`",
        "did you mean `<order_id.no>`? the arguments are `order_id`, `amount`",
    );
    assert_problem(
        r#"with_lock(key = "<user>")"#,
        "`<user>` is not an argument of `pay`",
        "the arguments are `order_id`, `amount`",
    );
    assert_problem(
        r#"with_lock(key = "<self.id>")"#,
        "`<self.id>` needs a method, and `pay` takes no `self`",
        "the arguments are `order_id`, `amount`",
    );
    assert_problem(
        r#"with_lock(key = "<2>")"#,
        "`<2>` is past the arguments of `pay`",
        "they are `<0>` to `<1>`",
    );
}

#[test]
fn unknown_options_are_answered_with_known_ones() {
    assert_problem(
        r#"with_lock(key = "x", waits = "1s")"#,
        "`waits` is not an option of `#[with_lock]`",
        "did you mean `wait`? the options are `key`, `keys`, `constant`, `lease`, `max_hold`, \
         `wait`, `on_busy`, `on_store_error`, `tx`, `coordinator`, `crate`",
    );
    assert_problem(
        r#"with_lock(key = "x", retention = "1h")"#,
        "`retention` is not an option of `#[with_lock]`",
        "it is one of `#[idempotent]`: write it there",
    );
    assert_problem(
        r#"with_lock(key = "x", key = "y")"#,
        "`key` is set twice",
        "keep the one you mean; each option stands once",
    );
}

#[test]
fn durations_say_what_they_lack() {
    assert_problem(
        r#"idempotent(wait = "30")"#,
        "`wait` has no unit",
        "write `\"30s\"` or `\"30ms\"`; the units are ms, s, m, h, d",
    );
    assert_problem(
        "idempotent(wait = 30)",
        "`wait` takes a text with a unit",
        "write `wait = \"30s\"`",
    );
    assert_problem(
        "idempotent(wait = 30s)",
        "`wait` takes a text with a unit",
        "put it in quotes: `wait = \"30s\"`",
    );
    assert_problem(
        r#"idempotent(lease = "0s")"#,
        "`lease` cannot be zero: a lease that ends at once protects nothing",
        "write `lease = \"10ms\"` or more, or leave it out",
    );
    assert_problem(
        r#"idempotent(lease = "2m", max_hold = "1m")"#,
        "the lease (2m) is longer than `max_hold` (1m)",
        "shorten `lease`, or raise `max_hold`",
    );
    assert_problem(
        r#"idempotent(lease = "2h")"#,
        "the lease (2h) is longer than `max_hold` (1h by default)",
        "shorten `lease`, or raise `max_hold`",
    );
}

#[test]
fn contradictions_are_named() {
    assert_problem(
        r#"with_lock(key = "a", keys = ["b"])"#,
        "`key` and `keys` are both set",
        "put all templates into `keys = […]`",
    );
    assert_problem(
        "with_lock",
        "`#[with_lock]` needs to know what to lock",
        "write `#[with_lock(key = \"order:<order_id>\")]`",
    );
    assert_problem(
        "idempotent(tx = tx)",
        "`tx` is not an argument of `pay`",
        "the arguments are `order_id`, `amount`",
    );
    assert_problem(
        "idempotent(begin(tx))",
        "`begin` needs a pool to begin a transaction on",
        "write `begin(tx = self.pool)`: the body then has the transaction as `tx`",
    );
    assert_problem(
        "idempotent(begin(tx = pool), lease = \"1m\")",
        "`lease` contradicts `begin`",
        "the transaction holds the key until it ends: leave it out",
    );
    assert_problem(
        "idempotent(skip(order_di))",
        "`order_di` is not an argument of `pay`",
        "did you mean `order_id`? the arguments are `order_id`, `amount`",
    );
    assert_problem(
        r#"idempotent(key = "<order_id>", skip(order_id))"#,
        "`order_id` is skipped, and `key` uses it",
        "what names a call cannot be left out of it",
    );
    assert_problem(
        r#"idempotent(key = "once")"#,
        "this key never varies, so `pay` would run once and for all",
        "name what tells one call from another, such as `<order_id>`; the arguments are \
         `order_id`, `amount`",
    );
    assert_problem(
        r#"idempotent(on_interrupted = "holt")"#,
        "`holt` is not a choice of `on_interrupted`",
        "did you mean `hold`? it is one of `rerun`, `hold`",
    );
}

#[test]
fn a_function_that_cannot_be_protected_says_why() {
    let result = "write `-> Result<T, E>` with `E: From<oncely::Error>`: being refused is an \
                  outcome too";
    assert_function(
        "fn pay(id: u64) -> Result<(), E> { Ok(()) }",
        "`pay` is not `async`",
        "write `async fn`; the store is asked before the body runs",
    );
    assert_function("async fn pay(id: u64) {}", "`pay` returns nothing", result);
    assert_function(
        "async fn pay(id: u64) -> (u8, u8) { (1, 2) }",
        "`pay` returns a tuple, not a `Result`",
        result,
    );
    assert_function(
        "async fn pay(id: u64, cart: &mut Cart) -> Result<(), E> { Ok(()) }",
        "`cart` is `&mut`: a replay could not repeat what is done to it",
        "take it by value, or leave it out with `skip(cart)`",
    );
    assert_function(
        "async fn pay() -> Result<(), E> { Ok(()) }",
        "`pay` has no arguments to tell one call from another",
        "give it an argument, and name it in `key = \"…\"`",
    );
    assert_function(
        "#[idempotent] async fn pay(id: u64) -> Result<(), E> { Ok(()) }",
        "`#[idempotent]` stands twice on one function",
        "keep one; its template can name several arguments",
    );
}

#[test]
fn all_problems_of_a_function_come_at_once() {
    let source = r#"
        #[idempotent(key = "a:<order_di>:<>", wait = "5", lease = "0s", tll = "1h")]
        #[with_lock(key = "b:<nobody>", wait = "5")]
        fn pay(order_id: u64, cart: &mut Cart) {}
    "#;
    let problems = problems(source);
    let expected = [
        "`<>` names no argument",
        "`wait` has no unit",
        "`tll` is not an option",
        "`wait` has no unit",
        "`pay` is not `async`",
        "`lease` cannot be zero",
        "`cart` is `&mut`",
        "`<nobody>` is not an argument",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn a_name_that_two_arguments_have_is_ambiguous() {
    // Only a `macro_rules!` macro can write this: the names differ in where they come from.
    let source =
        r#"#[idempotent(key = "<id>")] async fn pay(id: u64, id: u64) -> Result<(), E> {}"#;
    let help = "say which by its position, such as `<0>`";
    let what = "`<id>` is the name of two arguments of `pay`";
    assert_eq!(problems(source), [format!("{what}\n= help: {help}")]);
}
