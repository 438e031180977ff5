//! It says less than before.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

kernel_app::program!("primes", primes);

/// How many primes there are here.
const COUNT: usize = 10_240;
/// More than the largest of them.
const END: usize = 110_000;
/// What is left of a number when it is cut to 13 bits.
const LAST_BITS: u64 = (1 << 13) - 1;

fn primes(_: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let primes = first_primes();
    log::info!("{} primes up to {}", primes.len(), primes.last().copied().unwrap_or_default());
    let squares: u64 = primes.iter().map(|prime| (prime & LAST_BITS) * (prime & LAST_BITS)).sum();
    log::info!("the squares of their last 13 bits add up to {squares}");
    Ok(Vec::new())
}

/// The sieve of Eratosthenes, while the program runs.
fn first_primes() -> Vec<u64> {
    let mut is_composite = vec![false; END];
    let mut primes = Vec::with_capacity(COUNT);
    for number in 2..END {
        if primes.len() == COUNT {
            break;
        }
        if is_composite[number] {
            continue;
        }
        primes.push(number as u64);
        (number * number..END).step_by(number).for_each(|multiple| is_composite[multiple] = true);
    }
    primes
}
