//! Numbers that nobody outside may guess: initial sequence numbers (RFC 6528), local ports (RFC 6056), and the ids of
//! DNS queries (RFC 5452).
//!
//! Each kind has separate keys, so that numbers of one kind reveal nothing about another. smoltcp draws its numbers
//! from a generator whose state three of them reveal; so connections are told where to begin (`edited-smoltcp`), and
//! each query is made by an interface of its own.

use core::net::Ipv4Addr;

use siphasher::sip::SipHasher24;

use super::flow::Flow;
use wire::Entropy;
use wire::Instant;

/// First local port of outgoing connections (RFC 6335 section 6).
const PORT_FIRST: u16 = 49_152;
/// How many there are.
const PORT_COUNT: u64 = 1 << 14;
/// How long a first sequence number stands still (RFC 9293 section 3.4.1).
const TICK_MICROS: u64 = 4;

/// Keys and seeds, each drawn by itself.
#[derive(Clone, Debug)]
pub struct Seeds {
    sequence_numbers: [u64; 2],
    choices: [u64; 2],
    pub(super) flows: [u64; 2],
    /// What smoltcp draws DHCP's transaction ids from.
    pub(super) transactions: u64,
}

impl Seeds {
    /// Draws them.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        let mut pair = || [entropy.next_u64(), entropy.next_u64()];
        let (sequence_numbers, choices, flows) = (pair(), pair(), pair());
        Self { sequence_numbers, choices, flows, transactions: entropy.next_u64() }
    }
}

/// First sequence numbers (RFC 6528): those of two connections have nothing to do with each other, while those of
/// one pair of addresses and ports grow with time, so that no old segment is taken for a new one.
#[derive(Debug)]
pub struct SequenceNumbers(SipHasher24);

impl SequenceNumbers {
    /// Those of a node with these seeds.
    pub fn new(seeds: &Seeds) -> Self {
        let [one, other] = seeds.sequence_numbers;
        Self(SipHasher24::new_with_keys(one, other))
    }

    /// That of a connection that begins now.
    pub fn first(&self, local: Ipv4Addr, flow: Flow, now: Instant) -> u32 {
        let mut ends = [0; 12];
        ends[..4].copy_from_slice(&local.octets());
        ends[4..].copy_from_slice(&flow.to_bits().to_be_bytes());
        let ticks = (now.as_micros() / TICK_MICROS) as u32;
        ticks.wrapping_add(self.0.hash(&ends) as u32)
    }
}

/// Random choices that are not secret once they are made.
#[derive(Debug)]
pub(super) struct Choices {
    generator: SipHasher24,
    count: u64,
}

impl Choices {
    pub fn new(seeds: &Seeds) -> Self {
        let [one, other] = seeds.choices;
        Self { generator: SipHasher24::new_with_keys(one, other), count: 0 }
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.count += 1;
        self.generator.hash(&self.count.to_le_bytes())
    }

    /// A local port at random, or the next one after it that is not `taken` (RFC 6056 section 3.3.1); none when all
    /// are.
    pub fn port(&mut self, taken: impl Fn(u16) -> bool) -> Option<u16> {
        let start = self.next();
        (0..PORT_COUNT)
            .map(|step| PORT_FIRST + (start.wrapping_add(step) % PORT_COUNT) as u16)
            .find(|port| !taken(*port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;
    use ether::random::Random;

    const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn seeds(seed: u64) -> Seeds {
        Seeds::draw(&mut Random::new(seed))
    }

    #[test]
    fn sequence_numbers_of_one_connection_grow_with_time() {
        let numbers = SequenceNumbers::new(&seeds(1));
        let at = |micros| numbers.first(LOCAL, Flow::new(REMOTE, 4000, 80), Instant::from_micros(micros));
        for (later, ticks) in [(0, 0), (3, 0), (4, 1), (1_000_000, 250_000), (4 << 32, 0)] {
            assert_eq!(at(later).wrapping_sub(at(0)), ticks, "after {later} µs");
        }
    }

    #[test]
    fn sequence_numbers_of_others_tell_nothing() {
        let numbers = SequenceNumbers::new(&seeds(1));
        let first = |numbers: &SequenceNumbers, local, remote, port, to| {
            numbers.first(local, Flow::new(remote, port, to), Instant::ZERO)
        };
        // Neighbouring ports, as a client uses them: differences are spread over all of the space.
        let all: Vec<u32> = (0..4_096).map(|port| first(&numbers, LOCAL, REMOTE, port, 80)).collect();
        let steps: Vec<u32> = all.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        assert!(steps.iter().collect::<BTreeSet<_>>().len() > 4_090, "steps repeat");
        for bit in 0..32 {
            for values in [&all, &steps] {
                let ones = values.iter().filter(|value| *value >> bit & 1 == 1).count();
                assert!((1_850..2_250).contains(&ones), "bit {bit} is set in {ones} of {}", values.len());
            }
        }
        // Each end counts, and the key.
        let base = first(&numbers, LOCAL, REMOTE, 1, 80);
        let other_key = SequenceNumbers::new(&seeds(2));
        let others = [
            first(&numbers, REMOTE, REMOTE, 1, 80),
            first(&numbers, LOCAL, LOCAL, 1, 80),
            first(&numbers, LOCAL, REMOTE, 2, 80),
            first(&numbers, LOCAL, REMOTE, 1, 81),
            first(&other_key, LOCAL, REMOTE, 1, 80),
        ];
        assert!(others.iter().all(|other| other.abs_diff(base) > 1 << 16), "{base} and {others:?}");
    }

    #[test]
    fn ports_are_random_and_never_taken_twice() {
        let mut choices = Choices::new(&seeds(3));
        let mut taken = BTreeSet::new();
        let mut falls = 0;
        let mut last = 0;
        while let Some(port) = choices.port(|port| taken.contains(&port)) {
            assert!(port >= PORT_FIRST && taken.insert(port));
            falls += u32::from(port < last);
            last = port;
        }
        assert_eq!(taken.len() as u64, PORT_COUNT);
        assert!(falls > 7_000, "{falls} of {PORT_COUNT} were below the one before: they should be half");
    }
}
