//! Oncely makes an annotated async function safe to call twice and safe to call at the same time.

mod model;
pub mod store;

pub use model::{Arguments, Fingerprint};
