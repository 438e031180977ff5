//! Who has given wrong passwords lately, in a table of bounded size.
#![no_std]
extern crate alloc;

use alloc::vec::Vec;

/// Most addresses that are remembered.
pub const ADDRESSES_MAX: usize = 64;
/// Who has failed so often must wait.
pub const FAILURES_MAX: u32 = 3;
/// So long after the last failure everything is forgotten.
pub const WAIT_S: u64 = 60;

/// Who has given wrong passwords lately: few enough to look at each.
#[derive(Debug, Default)]
pub struct Failures {
    addresses: Vec<Failed>,
}

/// What is known of one address.
#[derive(Debug)]
struct Failed {
    address: u32,
    count: u32,
    last_s: u64,
}

impl Failures {
    /// Whether this address may try a password.
    pub fn may_try(&self, address: u32, now_s: u64) -> bool {
        let failed = self.addresses.iter().find(|failed| failed.address == address);
        failed.is_none_or(|failed| failed.count < FAILURES_MAX || now_s >= failed.last_s + WAIT_S)
    }

    /// This address has given a wrong password.
    pub fn failed(&mut self, address: u32, now_s: u64) {
        // Who may try again is like somebody who never came.
        self.addresses.retain(|failed| now_s < failed.last_s + WAIT_S);
        let known = self.addresses.iter_mut().find(|failed| failed.address == address);
        match known {
            Some(failed) => (failed.count, failed.last_s) = (failed.count + 1, now_s),
            None => {
                self.make_room();
                self.addresses.push(Failed { address, count: 1, last_s: now_s });
            }
        }
    }

    /// Forgets the address that has been quiet for longest, if there is no place left.
    fn make_room(&mut self) {
        let quietest = self.addresses.iter().enumerate().min_by_key(|(_, failed)| failed.last_s);
        if self.addresses.len() >= ADDRESSES_MAX
            && let Some((place, _)) = quietest
        {
            self.addresses.remove(place);
        }
    }
}
