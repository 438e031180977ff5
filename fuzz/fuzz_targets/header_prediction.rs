//! Header prediction; what must hold is in `tests/src/fuzzed/header_prediction.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::header_prediction::check(bytes));
