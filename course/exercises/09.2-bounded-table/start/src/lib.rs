//! Exercise 9.2: a table with room for everybody, until there is none. Edit this file.
//!
//! Whoever gives a wrong password three times has to wait for a minute after the last of them. The table below
//! remembers that for every address that ever came, and nothing ever leaves it. On Linux that is a leak that a restart
//! hides; in a machine of 32 MiB it is the end, and the sender chooses when.
//!
//! Give the table room for 64 addresses, whatever happens, so that
//! - an address that may try again takes no place that another one needs;
//! - the address that has been quiet for longest makes room, if somebody must;
//! - newcomers are counted like everybody else.
#![no_std]
extern crate alloc;

use alloc::collections::BTreeMap;

/// Most addresses that are remembered.
pub const ADDRESSES_MAX: usize = 64;
/// Who has failed so often must wait.
pub const FAILURES_MAX: u32 = 3;
/// So long after the last failure everything is forgotten.
pub const WAIT_S: u64 = 60;

/// Who has given wrong passwords lately.
#[derive(Debug, Default)]
pub struct Failures {
    addresses: BTreeMap<u32, Failed>,
}

/// What is known of one address.
#[derive(Debug)]
struct Failed {
    count: u32,
    last_s: u64,
}

impl Failures {
    /// Whether this address may try a password.
    pub fn may_try(&self, address: u32, now_s: u64) -> bool {
        let failed = self.addresses.get(&address);
        failed.is_none_or(|failed| failed.count < FAILURES_MAX || now_s >= failed.last_s + WAIT_S)
    }

    /// This address has given a wrong password.
    pub fn failed(&mut self, address: u32, now_s: u64) {
        let failed = self.addresses.entry(address).or_insert(Failed { count: 0, last_s: now_s });
        if now_s >= failed.last_s + WAIT_S {
            failed.count = 0;
        }
        failed.count += 1;
        failed.last_s = now_s;
    }
}
