//! The application's description; what must hold is in `tests/src/fuzzed/application.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::application::check(bytes));
