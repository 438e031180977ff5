//! `cargo run --package tests --bin soak -- --requests 1000000`: whether a booted unikernel's memory stays flat.
//!
//! The short variant is the test of the same name.
#![cfg(not(target_os = "hermit"))]

use std::process::ExitCode;
use std::time::Instant;

use tests::soak::{MemoryUse, soak};

const USAGE: &str = "usage: soak [--requests NUMBER]";
const REQUESTS_DEFAULT: usize = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let requests = match &arguments[..] {
        [] => Some(REQUESTS_DEFAULT),
        [name, number] if name == "--requests" => number.parse().ok(),
        _ => None,
    };
    let Some(requests) = requests else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let outcome =
        soak(requests, |answered, used_bytes| println!("{answered:>9} answered, {used_bytes} bytes in use"));
    let MemoryUse { warm_bytes, answered, .. } = &outcome;
    println!("{answered} requests in {:.0} s", begun.elapsed().as_secs_f64());
    println!("in use: {warm_bytes} bytes after warming up, {} at the end", outcome.last_bytes());
    if outcome.is_flat() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
