//! A crate that knows oncely by another name, and hands it on to others.

/// For macros of this crate, whose users need not depend on oncely.
#[doc(hidden)]
pub use once as __once;

/// A macro of a framework, which names oncely for its users.
#[macro_export]
macro_rules! handler {
    ($name:ident($argument:ident)) => {
        #[$crate::__once::idempotent(key = "<0>", crate = $crate::__once)]
        async fn $name($argument: u64) -> Result<u64, $crate::__once::Error> {
            Ok($argument)
        }
    };
}
