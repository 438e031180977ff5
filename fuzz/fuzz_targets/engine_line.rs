//! A command line of any engine; what must hold is in `tests/src/fuzzed/engine_line.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::engine_line::check(bytes));
