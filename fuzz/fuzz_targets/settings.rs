//! Settings and the addresses in them; what must hold is in `tests/src/fuzzed/settings.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::settings::check(bytes));
