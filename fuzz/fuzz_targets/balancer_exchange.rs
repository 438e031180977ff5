//! What a balancer follows of HTTP; what must hold is in `tests/src/fuzzed/balancer_exchange.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::balancer_exchange::check(bytes));
