//! The store's log as it is read at the start; what must hold is in `tests/src/fuzzed/log_recovery.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::log_recovery::check(bytes));
