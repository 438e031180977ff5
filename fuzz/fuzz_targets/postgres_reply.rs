//! What a PostgreSQL server sends; what must hold is in `tests/src/fuzzed/postgres_reply.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::postgres_reply::check(bytes));
