//! Servers that move: a name with several addresses, other addresses than before, or none for a while.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::wire::{ArpOperation, TcpControl};

use crate::bench::{Bench, Segment, arp, asked_for};
use crate::names::{answer, queries, with_servers};
use kernel_app::network::{Event, NAME_VALID_MAX, NAME_VALID_MIN, Network, Unreachable};
use wire::Instant;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);
const OLD: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 4);
const NEW: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const PORT: u16 = 6379;
const NOT_FOUND: u8 = 3;
/// The dial as a whole.
const DIAL_MAX: Duration = Duration::from_millis(1_800);
const STEP: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);

/// The world around a node: a name server, and hosts that listen, refuse or are silent.
struct World {
    bench: Bench,
    /// What the name server answers about `store`.
    code: u8,
    records: Vec<(Ipv4Addr, u32)>,
    listening: BTreeSet<Ipv4Addr>,
    refusing: BTreeSet<Ipv4Addr>,
    /// When the name was asked for.
    asked: Vec<Instant>,
    /// Where connections were wanted.
    called: Vec<Ipv4Addr>,
    /// The number of the first segment of the last call.
    first: u32,
}

impl World {
    /// With these records, and hosts that listen at these addresses.
    fn new(records: &[(Ipv4Addr, u32)], listening: &[Ipv4Addr]) -> Self {
        Self {
            bench: with_servers(&SERVER.to_string()),
            code: 0,
            records: records.to_vec(),
            listening: listening.iter().copied().collect(),
            refusing: BTreeSet::new(),
            asked: Vec::new(),
            called: Vec::new(),
            first: 0,
        }
    }

    fn dial(&mut self) {
        self.bench.network.connect("store", PORT, 0, 0, self.bench.now);
    }

    /// Lets time pass, in which everybody answers at once.
    fn run(&mut self, duration: Duration) {
        let end = self.bench.now + duration;
        while self.bench.now < end {
            let frames = self.bench.turn();
            queries(&frames).into_iter().for_each(|query| {
                self.asked.push(self.bench.now);
                self.bench.put(answer(query, self.code, &self.records));
            });
            for frame in &frames {
                if let Some(neighbour) = asked_for(frame) {
                    self.bench.put(arp(ArpOperation::Reply, neighbour));
                } else if let Some(segment) = Segment::of_frame(frame) {
                    self.hear(&segment);
                }
            }
            if frames.is_empty() {
                self.bench.now = self.bench.now + STEP;
            }
        }
    }

    fn hear(&mut self, segment: &Segment) {
        let (address, is_call) = (segment.peer.0, segment.control == TcpControl::Syn);
        if is_call {
            self.called.push(address);
            self.first = segment.seq;
        }
        let control = match (self.refusing.contains(&address), is_call) {
            (true, _) => TcpControl::Rst,
            (false, true) => TcpControl::Syn,
            (false, false) => TcpControl::None,
        };
        // A SYN is the stream's first byte; nothing but probes follows it here.
        let is_probe = !is_call && segment.seq == self.first;
        if (is_call || is_probe) && (self.refusing.contains(&address) || self.listening.contains(&address)) {
            let (seq, ack) = (1_000 + u32::from(!is_call), Some(self.first.wrapping_add(1)));
            let segment_bytes = is_call.then_some(1_460);
            let payload = Vec::new();
            self.bench.put(Segment { control, seq, ack, segment_bytes, payload, ..segment.clone() }.frame());
        }
    }

    /// The number of connections that were made, and whether the last thing that happened is that the name has moved.
    fn opened(&self) -> usize {
        self.bench.events.iter().filter(|event| matches!(event, Event::Opened(_))).count()
    }

    fn has_moved(&self) -> bool {
        self.bench.events.contains(&Event::Moved { service: 0, peer: 0 })
    }

    /// How long after the first question the name was asked for again.
    fn asked_after(&self) -> Vec<Duration> {
        self.asked[1..].iter().map(|at| at.since(self.asked[0])).collect()
    }
}

fn is_about(duration: Duration, expected: Duration) -> bool {
    // Timers are looked at half a second after a packet.
    duration >= expected && duration <= expected + SECOND
}

#[test]
fn each_dial_asks_for_the_name_and_takes_the_address_of_now() {
    let mut world = World::new(&[(OLD, 3_600)], &[OLD, NEW]);
    world.dial();
    world.run(SECOND);
    world.records = vec![(NEW, 3_600)];
    world.dial();
    world.run(SECOND);
    assert_eq!((world.called, world.asked.len()), (vec![OLD, NEW], 2));
}

#[test]
fn a_name_that_leads_elsewhere_is_noticed_when_its_time_to_live_is_over() {
    let mut world = World::new(&[(OLD, 20)], &[OLD, NEW]);
    world.dial();
    world.run(SECOND);
    world.records = vec![(NEW, 20)];
    world.run(Duration::from_secs(18));
    assert!(!world.has_moved() && world.asked.len() == 1, "the answer was valid");
    world.run(Duration::from_secs(3));
    assert!(world.has_moved() && is_about(world.asked_after()[0], Duration::from_secs(20)));
    world.run(Duration::from_secs(60));
    assert_eq!(world.asked.len(), 2, "it is said once, and no more is asked");
    assert_eq!(world.called, [OLD], "when to dial is the runtime's business");
}

#[test]
fn a_name_that_leads_to_the_same_place_is_asked_for_at_bounded_intervals() {
    for (ttl_s, expected) in [
        (0, NAME_VALID_MIN),
        (1, NAME_VALID_MIN),
        (20, Duration::from_secs(20)),
        (86_400, NAME_VALID_MAX),
        (u32::MAX, NAME_VALID_MIN),
    ] {
        let mut world = World::new(&[(NEW, 300), (OLD, ttl_s)], &[NEW]);
        world.dial();
        world.run(expected * 2 + 3 * SECOND);
        assert_eq!(world.asked_after().len(), 2, "{ttl_s}: {:?}", world.asked_after());
        assert!(is_about(world.asked_after()[0], expected), "{ttl_s}: {:?}", world.asked_after());
        assert_eq!((world.opened(), world.bench.events.len()), (1, 1), "{ttl_s}: nothing else happens");
    }
}

#[test]
fn a_name_with_more_addresses_than_are_read_does_not_lead_elsewhere() {
    let mut world = World::new(&[(OLD, 5)], &[OLD]);
    world.dial();
    world.run(SECOND);
    let others = (0..20).map(|last| (Ipv4Addr::new(10, 0, 0, 100 + last), 5));
    world.records = others.chain([(OLD, 5)]).collect();
    world.run(Duration::from_secs(20));
    assert!(world.asked.len() > 2 && !world.has_moved());
}

#[test]
fn a_connection_outlives_its_name() {
    let mut world = World::new(&[(OLD, 5)], &[OLD]);
    world.dial();
    world.run(SECOND);
    world.code = NOT_FOUND;
    world.records.clear();
    world.run(Duration::from_secs(30));
    assert_eq!((world.opened(), world.bench.events.len()), (1, 1), "{:?}", world.bench.events);
    assert!((4..=6).contains(&world.asked_after().len()), "{:?}", world.asked_after());
    (world.code, world.records) = (0, vec![(NEW, 5)]);
    world.run(NAME_VALID_MIN + SECOND);
    assert!(world.has_moved());
}

#[test]
fn a_name_server_that_is_silent_changes_nothing() {
    let mut world = World::new(&[(OLD, 5)], &[OLD]);
    world.dial();
    world.run(SECOND);
    for _ in 0..20 {
        // Nobody answers but the store.
        world.bench.run_for(SECOND);
    }
    world.run(NAME_VALID_MIN + 3 * SECOND);
    assert_eq!((world.opened(), world.bench.events.len()), (1, 1), "{:?}", world.bench.events);
    assert!(world.asked.len() >= 2, "it is asked again");
}

#[test]
fn an_address_gives_way_to_the_next_one_of_its_name() {
    let third = Ipv4Addr::new(10, 0, 0, 6);
    for is_refused in [true, false] {
        let mut world = World::new(&[(OLD, 60), (third, 60), (NEW, 60)], &[NEW]);
        if is_refused {
            world.refusing = [OLD, third].into();
        }
        world.dial();
        world.run(DIAL_MAX);
        world.called.dedup();
        assert_eq!(world.called, [OLD, third, NEW], "refused: {is_refused}");
        assert_eq!((world.opened(), world.bench.events.len()), (1, 1), "refused: {is_refused}");
    }
}

#[test]
fn a_dial_ends_in_time_however_many_addresses_are_silent() {
    for (count, is_refused, reason) in [
        (1, false, Unreachable::TimedOut),
        (8, false, Unreachable::TimedOut),
        (8, true, Unreachable::Refused),
    ] {
        let addresses: Vec<_> = (0..count).map(|last| Ipv4Addr::new(10, 0, 0, 10 + last)).collect();
        let records: Vec<_> = addresses.iter().map(|address| (*address, 60)).collect();
        let mut world = World::new(&records, &[]);
        if is_refused {
            world.refusing = addresses.iter().copied().collect();
        }
        world.dial();
        world.run(DIAL_MAX + 2 * STEP);
        assert_eq!(world.bench.events, [Event::Unreachable { service: 0, peer: 0, reason }], "{count}");
        world.called.dedup();
        assert_eq!(world.called, addresses, "each has its turn");
        world.run(2 * NAME_VALID_MAX);
        assert_eq!(world.asked.len(), 1, "nothing is left of it");
    }
}
