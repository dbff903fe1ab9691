//! No options and no item make the attributes panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oncely_fuzz::expand_attribute(data));
