//! What a VMM and a driver can tell a network card of the segment; what must hold is in
//! `tests/src/fuzzed/vhost_user.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::vhost_user::check(bytes));
