//! The known paths with a small MTU, each remembered for a limited time.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use crate::pace::LogPace;
use wire::Instant;

/// How long a way is taken for narrow (RFC 1191 section 6.3).
const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// Narrow ways that are remembered.
const WAYS_MAX: usize = 64;

/// Where ways are narrow.
#[derive(Debug, Default)]
pub(super) struct Paths {
    narrow: Vec<(Ipv4Addr, u16, Instant)>,
    /// Anybody can say of any way that it is narrow.
    log_pace: LogPace,
}

impl Paths {
    /// What the way to an address carries, if it is known to be narrow.
    pub fn mtu(&mut self, address: Ipv4Addr, now: Instant) -> Option<u16> {
        if self.narrow.is_empty() {
            return None;
        }
        self.narrow.retain(|(_, _, until)| now < *until);
        self.narrow.iter().find(|(known, ..)| *known == address).map(|(_, mtu, _)| *mtu)
    }

    pub fn note(&mut self, address: Ipv4Addr, mtu: u16, now: Instant) {
        if self.log_pace.allows(now) {
            log::info!("the way to {address} carries packets of {mtu} bytes at most, as far as is known");
        }
        self.narrow.retain(|(known, ..)| *known != address);
        if self.narrow.len() == WAYS_MAX {
            self.narrow.remove(0);
        }
        self.narrow.push((address, mtu, now + REMEMBERED_FOR));
    }
}
