//! Exercise 2.2: 100 KB off an image.
//!
//! This program says three lines about primes, and its image is much larger than that of `hello`. Make it 100 KiB
//! smaller. It must say the same, and compute it: `cargo course check 2.2` boots it and reads its serial line, and then
//! compares the sizes of both images.
//!
//! The image and the program are in `target/course/` after a check; chapter 2 shows how to find out what is large.
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
static SQUARES: [u64; SQUARES_COUNT] = first_squares();

fn primes(_: &Settings) -> Result<Vec<Box<dyn Service>>, SettingError> {
    let last = PRIMES.last().copied().unwrap_or_default();
    log::info!("{COUNT} primes up to {last}");
    let squares: u64 = PRIMES.iter().map(|prime| SQUARES[*prime as usize % SQUARES_COUNT]).sum();
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

const fn first_squares() -> [u64; SQUARES_COUNT] {
    let mut squares = [0; SQUARES_COUNT];
    let mut number = 0;
    while number < SQUARES_COUNT {
        squares[number] = (number * number) as u64;
        number += 1;
    }
    squares
}
