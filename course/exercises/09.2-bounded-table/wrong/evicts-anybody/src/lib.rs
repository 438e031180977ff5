//! A full table forgets the first address that it finds.
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
        if !self.addresses.contains_key(&address) && self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.pop_first();
        }
        let failed = self.addresses.entry(address).or_insert(Failed { count: 0, last_s: now_s });
        if now_s >= failed.last_s + WAIT_S {
            failed.count = 0;
        }
        failed.count += 1;
        failed.last_s = now_s;
    }
}
