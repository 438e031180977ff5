//! RESP requests, whole and in pieces; what must hold is in `tests/src/fuzzed/resp_command.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::resp_command::check(bytes));
