//! The kernel's command line; what must hold is in `tests/src/fuzzed/command_line.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzzed::command_line::check(bytes));
