//! Packets of a network card; what must hold is in `tests/src/fuzzed/packet.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::packet::check(bytes));
