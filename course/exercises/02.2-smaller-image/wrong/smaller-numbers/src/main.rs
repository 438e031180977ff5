//! The table is kept, with numbers of half the size: that is 32 KiB less.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;

use kernel_app::settings::SettingError;
use kernel_app::{Service, Settings};

kernel_app::program!("primes", primes);

/// How many primes there are here.
const COUNT: usize = 10_240;
/// More than the largest of them.
const END: usize = 110_000;
/// How many squares there are here.
const SQUARES_COUNT: usize = 8_192;

/// The first primes.
static PRIMES: [u32; COUNT] = first_primes();
/// The squares of all numbers of 13 bits.
static SQUARES: [u32; SQUARES_COUNT] = first_squares();

fn primes(_: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let last = PRIMES.last().copied().unwrap_or_default();
    log::info!("{COUNT} primes up to {last}");
    let squares: u64 = PRIMES.iter().map(|prime| u64::from(SQUARES[*prime as usize % SQUARES_COUNT])).sum();
    log::info!("the squares of their last 13 bits add up to {squares}");
    let sum: u64 = PRIMES.iter().map(|prime| u64::from(*prime)).sum();
    log::info!("the mean prime is {:.3}", sum as f64 / COUNT as f64);
    Ok(Vec::new())
}

/// The sieve of Eratosthenes, while the compiler runs.
const fn first_primes() -> [u32; COUNT] {
    let mut is_composite = [false; END];
    let mut primes = [0; COUNT];
    let (mut number, mut found) = (2, 0);
    while found < COUNT {
        if !is_composite[number] {
            primes[found] = number as u32;
            found += 1;
            let mut multiple = number * number;
            while multiple < END {
                is_composite[multiple] = true;
                multiple += number;
            }
        }
        number += 1;
    }
    primes
}

const fn first_squares() -> [u32; SQUARES_COUNT] {
    let mut squares = [0; SQUARES_COUNT];
    let mut number = 0;
    while number < SQUARES_COUNT {
        squares[number] = (number * number) as u32;
        number += 1;
    }
    squares
}
