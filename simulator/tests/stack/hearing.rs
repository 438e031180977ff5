//! Frames that are as if they had not come, and those of connections that are as if they had gone.

use std::cell::Cell;

use smoltcp::wire::TcpControl;

use crate::bench::{Bench, PEER, PORT, Peer, syn};
use kernel_app::connections::HeapUsage;
use kernel_app::network::Event;
use kernel_app::stack::{DIAL_SOCKETS, ETHERNET_BYTES, HALF_OPEN_FRESH, SOCKETS_MAX};

#[test]
fn a_frame_with_a_wrong_checksum_is_dropped() {
    let mut bench = Bench::new();
    let (peer, id) = bench.connect(PEER, 1_460);
    let request = peer.segment(TcpControl::Psh, b"GET /");
    let frames =
        [request.frame(), peer.segment(TcpControl::Rst, b"").frame(), syn((PEER.0, 1), 1_460).frame()];
    for frame in frames {
        for at in ETHERNET_BYTES..frame.len() {
            let mut broken = frame.clone();
            broken[at] ^= 1;
            bench.put(broken);
            assert!(bench.turn().is_empty(), "byte {at} of {}", frame.escape_ascii());
        }
    }
    assert!(bench.is_open(id) && bench.connections.get(id).expect("live").input.is_empty());
    assert_eq!(bench.tell(&request).len(), 1, "it is acknowledged as it was meant");
    assert_eq!(bench.connections.get(id).expect("live").input.as_slice(), b"GET /");
}

#[test]
fn a_syn_with_data_is_said_again_without() {
    let mut bench = Bench::new();
    bench.greet(PEER.0);
    let mut syn = syn(PEER, 1_460);
    syn.payload = vec![7; 41];
    assert_eq!(bench.tell(&syn), []);
    syn.payload.clear();
    assert_eq!(bench.tell(&syn).len(), 1);
}

/// A node all of whose places are taken by handshakes that nobody has finished; who has begun them, the first one
/// first.
fn full_of_handshakes(bench: &mut Bench) -> Vec<Peer> {
    bench.greet(PEER.0);
    let peers = (1..=SOCKETS_MAX - DIAL_SOCKETS).map(|port| {
        let syn = syn((PEER.0, port as u16), 1_000);
        let answers = bench.tell(&syn);
        let [answer] = &answers[..] else { panic!("{answers:?}") };
        let (seq, ack) = (syn.seq.wrapping_add(1), answer.seq.wrapping_add(1));
        Peer { address: syn.peer, node_port: PORT, seq, ack }
    });
    peers.collect()
}

#[test]
fn an_evicted_handshake_completes_when_there_is_room() {
    let mut bench = Bench::new();
    let peers = full_of_handshakes(&mut bench);
    bench.now = bench.now + HALF_OPEN_FRESH;
    assert_eq!(bench.tell(&syn((PEER.0, 5_000), 1_000)).len(), 1, "a newcomer has the place of the first");
    let request = peers[0].segment(TcpControl::Psh, b"GET /");
    assert_eq!(bench.tell(&request), [], "there is no room, and nobody is reset");
    let later = Peer { seq: peers[0].seq.wrapping_add(5), ..peers[0].clone() };
    bench.tell(&peers[1].segment(TcpControl::Rst, b""));
    assert_eq!(
        bench.tell(&later.segment(TcpControl::Psh, b" HTTP")),
        [],
        "what is not the first is said again"
    );
    let answers = bench.tell(&request);
    let [answer] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((answer.control, answer.seq), (TcpControl::None, peers[0].ack), "our SYN is not said again");
    assert_eq!(answer.ack, Some(later.seq), "nor need the request be");
    let Some(Event::Ready(id)) = bench.events.last().copied() else { panic!("{:?}", bench.events) };
    assert_eq!(bench.connections.get(id).expect("live").input.as_slice(), b"GET /");
    // The other side's segments are no larger than they were.
    bench.write(id, &[7; 2_000], false);
    let sizes: Vec<usize> = bench.segments().iter().map(|segment| segment.payload.len()).collect();
    assert_eq!(sizes, [1_000, 1_000]);
}

#[test]
fn an_ack_without_an_earlier_handshake_is_refused() {
    let mut bench = Bench::new();
    let peers = full_of_handshakes(&mut bench);
    bench.now = bench.now + HALF_OPEN_FRESH;
    bench.tell(&syn((PEER.0, 5_000), 1_000));
    bench.tell(&peers[1].segment(TcpControl::Rst, b""));
    let guess = Peer { ack: peers[0].ack.wrapping_add(1), ..peers[0].clone() };
    let answers = bench.tell(&guess.segment(TcpControl::Psh, b"GET /"));
    assert!(answers.iter().all(|answer| answer.control == TcpControl::Rst) && answers.len() == 1);
    let answers = bench.tell(&Peer { address: (PEER.0, 6_000), ..guess }.segment(TcpControl::None, b""));
    assert!(answers.iter().all(|answer| answer.control == TcpControl::Rst) && answers.len() == 1);
}

/// How often it is asked whether memory is short until it is.
const LOOKS_UNTIL_SHORT: usize = 20;

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

#[test]
fn memory_that_runs_out_within_a_turn_is_not_taken_for_more_sockets() {
    let mut bench = Bench::new();
    let is_short = || LOOKS.replace(LOOKS.get() + 1) >= LOOKS_UNTIL_SHORT;
    let usage = || HeapUsage { used_bytes: 0, free_bytes: 0 };
    bench.connections.watch_memory(SOCKETS_MAX, is_short, usage);
    bench.greet(PEER.0);
    let knocks = (1..=100).map(|port| syn((PEER.0, port), 1_460).frame());
    knocks.clone().for_each(|frame| bench.put(frame));
    let answers = bench.segments().len();
    assert!((1..=LOOKS_UNTIL_SHORT).contains(&answers), "{answers} sockets");
    LOOKS.set(0);
    knocks.skip(answers).take(1).for_each(|frame| bench.put(frame));
    assert_eq!(bench.segments().len(), 1, "there is memory again, and it has knocked again");
}
