//! HTTP responses, whole and in pieces; what must hold is in `tests/src/fuzzed/http_reply.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::http_reply::check(bytes));
