//! From tokens to the model: each part of the input is read here, and nothing is judged.

pub(crate) mod args;
mod duration;
pub(crate) mod item;
mod options;
pub(crate) mod template;
mod values;

pub(crate) use options::{idempotent, key_part, lock};
