//! First sequence numbers and ports as they are seen on the wire.

use std::net::Ipv4Addr;
use std::time::Duration;

use smoltcp::wire::TcpControl;

use crate::bench::{self, Bench, NODE, PEER, PORT, Segment, syn};
use kernel_app::network::Network;
use kernel_app::stack::{Flow, SequenceNumbers};

/// The first sequence number that somebody who connects is told. The connection is then given up.
fn first_number(bench: &mut Bench, port: u16) -> u32 {
    let syn = syn((PEER.0, port), 1_460);
    let answers = bench.tell(&syn);
    assert_eq!(answers.len(), 1);
    let reset = Segment { control: TcpControl::Rst, seq: syn.seq.wrapping_add(1), ..syn };
    bench.tell(&reset);
    answers[0].seq
}

#[test]
fn a_connection_begins_with_the_number_that_is_its_own() {
    let mut bench = Bench::new();
    let numbers = SequenceNumbers::new(&bench::seeds());
    bench.greet(PEER.0);
    for port in 1..3_000 {
        let flow = Flow::new(PEER.0, port, PORT);
        let expected = numbers.first(NODE, flow, bench.now);
        assert_eq!(first_number(&mut bench, port), expected, "port {port}");
        bench.now = bench.now + Duration::from_micros(1_234_567);
        bench.greet(PEER.0);
    }
}

#[test]
fn initial_sequence_numbers_grow_per_flow_and_differ_between_flows() {
    let mut bench = Bench::new();
    bench.greet(PEER.0);
    let first = first_number(&mut bench, 1_000);
    let others: Vec<u32> = (1_001..1_100).map(|port| first_number(&mut bench, port)).collect();
    bench.now = bench.now + Duration::from_millis(400);
    assert_eq!(first_number(&mut bench, 1_000).wrapping_sub(first), 100_000, "one in 4 µs");
    let mut all: Vec<u32> = others.into_iter().chain([first]).collect();
    all.sort_unstable();
    let widest = all.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(widest < Some(1 << 29), "they leave {widest:?} of 2^32 empty");
}

/// smoltcp's own numbers are states of one generator: each, with the 29 bits it hides guessed, gives the next. With
/// numbers that are not drawn from one, no guess does.
#[test]
fn three_numbers_do_not_give_the_generator_away() {
    const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
    const INCREMENT: u64 = 0x7590_ef39;
    let mut bench = Bench::new();
    bench.greet(PEER.0);
    let numbers: Vec<u32> = (1_000..1_003).map(|port| first_number(&mut bench, port)).collect();
    let output = |state: u64| (state >> (29 - (state >> 61))) as u32;
    let next = |state: u64| state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
    // A state that gives the number: its top three bits say how far it was shifted.
    for shift in 0..=7_u64 {
        for low in (0..1_u64 << 29).step_by(509) {
            let state = u64::from(numbers[0]) << (29 - shift) | low >> shift;
            if state >> 61 == shift && output(state) == numbers[0] {
                assert!(
                    output(next(state)) != numbers[1] || output(next(next(state))) != numbers[2],
                    "state {state:x} explains all three"
                );
            }
        }
    }
}

#[test]
fn ports_of_dials_follow_no_order() {
    let mut bench = Bench::new();
    let server = Ipv4Addr::new(10, 0, 0, 3);
    let mut ports = Vec::new();
    for peer in 0..40 {
        bench.greet(server);
        bench.network.connect("10.0.0.3", 6379, 0, peer, bench.now);
        ports.extend(bench.segments().iter().map(|segment| segment.node_port));
        let refused = bench.run_for(Duration::from_secs(3));
        assert!(!refused.is_empty(), "it is tried");
    }
    assert_eq!(ports.len(), 40);
    let steps: Vec<u16> = ports.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.iter().filter(|step| **step < 100).count() < 5, "{ports:?}");
    assert!(ports.iter().all(|port| *port >= 49_152));
}
