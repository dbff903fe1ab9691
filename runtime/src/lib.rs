//! Oncely makes an annotated async function safe to call twice and safe to call at the same time.

mod model;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
