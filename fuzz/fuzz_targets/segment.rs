//! What a machine can send on the application's own network; what must hold is in `tests/src/fuzzed/segment.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::segment::check(bytes));
