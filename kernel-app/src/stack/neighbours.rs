//! The neighbours that were sent ARP requests, and the time of the next request to each.
//!
//! smoltcp keeps the hardware addresses.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::limits::ETHERNET_BYTES;
use wire::Instant;

/// Neighbours that are remembered to have been asked or heard; as many as smoltcp remembers.
const PLACES: usize = 64;
/// A neighbour that has been heard is asked again after this time, half of what smoltcp remembers it for.
const FRESH_MAX: Duration = Duration::from_secs(30);
/// One that was not, after this (RFC 1122 section 2.3.2.1).
const RETRY: Duration = Duration::from_secs(1);
/// Questions a second that strangers can cause, who may have forged their addresses. Those to our own peers are few.
const QUESTIONS_PER_SECOND: u32 = 64;

/// One neighbour.
#[derive(Clone, Copy, Debug)]
struct Neighbour {
    address: Ipv4Addr,
    /// When it is to be asked, should somebody want it then.
    ask_at: Instant,
}

/// Why a neighbour is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// This node has something to say to it.
    Own,
    /// Somebody has connected.
    Stranger,
}

/// The neighbours that are asked for, and those that are known.
#[derive(Debug)]
pub(super) struct Neighbours {
    /// By the last bits of the address.
    places: [Neighbour; PLACES],
    /// Questions that strangers have caused since then.
    second: (Instant, u32),
}

impl Neighbours {
    pub fn new() -> Self {
        let nobody = Neighbour { address: Ipv4Addr::UNSPECIFIED, ask_at: Instant::ZERO };
        Self { places: [nobody; PLACES], second: (Instant::ZERO, 0) }
    }

    /// Whether this neighbour is to be asked now; it counts as asked then.
    pub fn must_ask(&mut self, address: Ipv4Addr, cause: Cause, now: Instant) -> bool {
        let place = self.place(address);
        if place.address == address && now < place.ask_at {
            return false;
        }
        if cause == Cause::Stranger && !self.may_ask(now) {
            return false;
        }
        *self.place(address) = Neighbour { address, ask_at: now + RETRY };
        true
    }

    /// A neighbour has told where it is.
    pub fn heard(&mut self, frame: &[u8], now: Instant) {
        let Some(sender) = frame.get(ETHERNET_BYTES + 14..).and_then(<[u8]>::first_chunk) else { return };
        let address = Ipv4Addr::from_octets(*sender);
        let place = self.place(address);
        if place.address == address {
            place.ask_at = now + FRESH_MAX;
        }
    }

    fn place(&mut self, address: Ipv4Addr) -> &mut Neighbour {
        &mut self.places[address.to_bits() as usize % PLACES]
    }

    fn may_ask(&mut self, now: Instant) -> bool {
        let (begun, asked) = &mut self.second;
        if now.since(*begun) >= Duration::from_secs(1) {
            (*begun, *asked) = (now, 0);
        }
        *asked += 1;
        *asked <= QUESTIONS_PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn a_neighbour_is_asked_until_it_is_heard_and_before_it_is_forgotten() {
        let mut neighbours = Neighbours::new();
        let asked = |neighbours: &mut Neighbours, ms| neighbours.must_ask(ONE, Cause::Own, at(ms));
        assert!(asked(&mut neighbours, 1_000));
        assert!(!asked(&mut neighbours, 1_999));
        assert!(asked(&mut neighbours, 2_000));
        let mut frame = [0; ETHERNET_BYTES + 28];
        frame[ETHERNET_BYTES + 14..ETHERNET_BYTES + 18].copy_from_slice(&ONE.octets());
        neighbours.heard(&frame, at(2_100));
        assert!(!asked(&mut neighbours, 32_099));
        assert!(asked(&mut neighbours, 32_100));
        neighbours.heard(&frame[..20], at(32_100));
    }

    #[test]
    fn strangers_cause_few_questions() {
        let mut neighbours = Neighbours::new();
        let mut count = |first: u32, cause| {
            let all = (0..1_000).map(|number| Ipv4Addr::from_bits(first + number));
            all.filter(|address| neighbours.must_ask(*address, cause, at(5_000))).count()
        };
        assert_eq!(count(1 << 24, Cause::Stranger), QUESTIONS_PER_SECOND as usize);
        assert_eq!(count(2 << 24, Cause::Own), 1_000);
    }
}
