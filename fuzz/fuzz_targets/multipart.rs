//! HTML forms; what must hold is in `tests/src/fuzzed/multipart.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::multipart::check(bytes));
