//! RESP replies; what must hold is in `tests/src/fuzzed/resp_reply.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::resp_reply::check(bytes));
