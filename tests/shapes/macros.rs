//! Functions that a `macro_rules!` macro makes, whole or in parts.

use oncely::{Error, idempotent, with_lock};

use crate::{excludes, replays, saw};

macro_rules! parts {
    ($(#[$meta:meta])* $vis:vis $name:ident($argument:ident: $ty:ty) -> $answer:ty, $key:literal, $wait:expr, $body:block) => {
        $(#[$meta])*
        #[idempotent(key = $key, wait = $wait)]
        $vis async fn $name($argument: $ty, hidden: u64) -> $answer {
            saw(hidden);
            $body
        }
    };
}

parts!(
    /// Documentation.
    pub(crate) from_parts(order: u64) -> Result<u64, Error>, "<order>:<hidden>", "1s", {
        Ok(order)
    }
);

#[tokio::test]
async fn a_function_from_parts() {
    replays(async || from_parts(7, 8).await, 7, "7:8 | 8").await;
}

macro_rules! whole {
    ($function:item) => {
        #[with_lock(key = "<order>", wait = "0s")]
        $function
    };
}

whole! {
    async fn from_an_item(order: u64) -> Result<u64, Error> {
        saw(order);
        Ok(order)
    }
}

macro_rules! tokens {
    ($($function:tt)*) => {
        #[with_lock(key = "<order>", wait = "0s")]
        $($function)*
    };
}

tokens! {
    async fn from_tokens(order: u64) -> Result<u64, Error> {
        saw(order);
        Ok(order)
    }
}

#[tokio::test]
async fn a_whole_function() {
    excludes("7", async || from_an_item(7).await, 7, "7 | 7").await;
    excludes("7", async || from_tokens(7).await, 7, "7 | 7").await;
}

macro_rules! body {
    ($name:ident, $pattern:pat, $argument:expr, $body:block) => {
        #[idempotent(key = "<0>", coordinator = $argument)]
        async fn $name($pattern: u64) -> Result<u64, Error> $body
    };
}

body!(with_body, order, coordinator_of_the_thread(), {
    saw(order);
    Ok(order)
});

thread_local! {
    static HERE: std::cell::RefCell<Option<oncely::Coordinator>> =
        const { std::cell::RefCell::new(None) };
}

fn coordinator_of_the_thread() -> oncely::Coordinator {
    HERE.with_borrow(|here| here.clone().unwrap())
}

#[tokio::test]
async fn a_pattern_an_expression_and_a_block() {
    let oncely = oncely::Coordinator::connect("memory:").await.unwrap();
    HERE.set(Some(oncely));
    replays(async || with_body(7).await, 7, "7 | 7").await;
}

macro_rules! same_names {
    ($name:ident, $argument:ident) => {
        #[idempotent(key = "<0>:<1>")]
        async fn $name($argument: u64, order: u64) -> Result<u64, Error> {
            saw(format_args!("{} {order}", $argument));
            Ok($argument)
        }
    };
}

same_names!(two_orders, order);

#[tokio::test]
async fn two_arguments_of_one_name_are_two() {
    replays(async || two_orders(7, 8).await, 7, "7:8 | 7 8").await;
}

macro_rules! methods {
    ($ty:ty, $this:ident, $field:ident, $($name:ident)+) => {
        impl $ty {
            $(
                #[idempotent(key = "<self.tenant>:<order>")]
                async fn $name(&$this, order: u64) -> Result<u64, Error> {
                    saw(&$this.$field);
                    Ok(order)
                }
            )+
        }
    };
}

struct Shop {
    tenant: &'static str,
}

methods!(Shop, self, tenant, open close);

#[tokio::test]
async fn methods_in_a_row() {
    replays(async || Shop { tenant: "a" }.open(7).await, 7, "a:7 | a").await;
    replays(async || Shop { tenant: "a" }.close(7).await, 7, "a:7 | a").await;
}
