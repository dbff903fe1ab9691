//! Every text is a template, or a problem.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| oncely_fuzz::read_template(text));
