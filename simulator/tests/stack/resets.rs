//! Forged segments (RFC 5961): the attacker knows addresses and ports, and guesses numbers.

use std::time::Duration;

use smoltcp::wire::TcpControl;

use crate::bench::{Bench, PEER, Peer, Segment};
use kernel_app::connections::ConnectionId;

/// A connection on which a few bytes went each way.
fn used(bench: &mut Bench) -> (Peer, ConnectionId) {
    let (mut peer, id) = bench.connect(PEER, 1_460);
    bench.tell(&peer.segment(TcpControl::Psh, b"hello"));
    peer.seq = peer.seq.wrapping_add(5);
    bench.connections.get_mut(id).expect("live").input.consume(5);
    bench.write(id, b"answer", false);
    let answers = bench.segments();
    assert_eq!(answers[0].payload, b"answer");
    peer.ack = peer.ack.wrapping_add(6);
    bench.tell(&peer.segment(TcpControl::None, b""));
    (peer, id)
}

/// The challenge: an ACK of what has been received, which says where the node stands.
fn assert_challenged(answers: &[Segment], peer: &Peer) {
    let [answer] = answers else { panic!("{answers:?}") };
    assert_eq!((answer.control, answer.payload.len()), (TcpControl::None, 0));
    assert_eq!((answer.seq, answer.ack), (peer.ack, Some(peer.seq)));
}

#[test]
fn only_a_reset_with_the_next_sequence_number_is_accepted() {
    let mut bench = Bench::new();
    let (peer, id) = used(&mut bench);
    let reset = |ahead: u32| {
        let mut reset = peer.segment(TcpControl::Rst, b"");
        reset.seq = reset.seq.wrapping_add(ahead);
        reset
    };
    // Out of the window: nothing is said.
    for ahead in [u32::MAX, 4_096, 1 << 31] {
        assert_eq!(bench.tell(&reset(ahead)), [], "{ahead} ahead");
    }
    // In the window: the other side is asked, once a second.
    assert_challenged(&bench.tell(&reset(1)), &peer);
    for ahead in [2, 100, 4_095] {
        assert_eq!(bench.tell(&reset(ahead)), [], "{ahead} ahead");
    }
    bench.run_for(Duration::from_millis(1_100));
    assert_challenged(&bench.tell(&reset(4_095)), &peer);
    assert!(bench.is_open(id));
    assert_eq!(bench.tell(&reset(0)), []);
    assert!(!bench.is_open(id), "this one is believed");
}

#[test]
fn a_reset_is_checked_against_received_data_even_if_unread() {
    let mut bench = Bench::new();
    let (mut peer, id) = bench.connect(PEER, 1_460);
    // More than the table takes, so that some of it waits in the socket.
    let bytes = [b'x'; 1_000];
    while bench.connections.get(id).expect("live").input.len() < 64 * 1024 {
        bench.tell(&peer.segment(TcpControl::None, &bytes));
        peer.seq = peer.seq.wrapping_add(1_000);
    }
    bench.tell(&peer.segment(TcpControl::None, &bytes));
    peer.seq = peer.seq.wrapping_add(1_000);
    let mut early = peer.segment(TcpControl::Rst, b"");
    early.seq = early.seq.wrapping_sub(1_000);
    bench.tell(&early);
    assert!(bench.is_open(id));
    bench.tell(&peer.segment(TcpControl::Rst, b""));
    assert!(!bench.is_open(id));
}

#[test]
fn a_reset_after_the_peers_end_counts_that_end() {
    let mut bench = Bench::new();
    let (peer, id) = used(&mut bench);
    bench.tell(&peer.segment(TcpControl::Fin, b""));
    bench.tell(&peer.segment(TcpControl::Rst, b""));
    assert!(bench.is_open(id), "the number of its end is taken");
    let mut reset = peer.segment(TcpControl::Rst, b"");
    reset.seq = reset.seq.wrapping_add(1);
    bench.tell(&reset);
    assert!(!bench.is_open(id));
}

#[test]
fn a_syn_in_an_open_connection_gets_a_challenge_ack() {
    for ahead in [0, 1, 100, 1 << 20, 1 << 31, u32::MAX] {
        let mut bench = Bench::new();
        let (peer, id) = used(&mut bench);
        let mut syn = crate::bench::syn(PEER, 1_460);
        syn.seq = peer.seq.wrapping_add(ahead);
        assert_challenged(&bench.tell(&syn), &peer);
        assert!(bench.is_open(id), "{ahead} ahead");
        // A peer that has started again and knows nothing of the connection says so, and is then let in.
        let mut reset = peer.segment(TcpControl::Rst, b"");
        reset.ack = None;
        bench.tell(&reset);
        assert!(!bench.is_open(id));
        let answers = bench.tell(&syn);
        assert_eq!(answers.iter().map(|answer| answer.control).collect::<Vec<_>>(), [TcpControl::Syn]);
    }
}

#[test]
fn a_reset_uses_the_next_sequence_number_when_a_retransmission_is_due() {
    let mut bench = Bench::new();
    let (peer, id) = bench.connect(PEER, 1_460);
    bench.write(id, b"answer", false);
    assert_eq!(bench.segments().len(), 1);
    bench.now = bench.now + Duration::from_secs(3);
    bench.connections.abort(id);
    let segments = bench.segments();
    let [reset] = &segments[..] else { panic!("{segments:?}") };
    assert_eq!((reset.control, reset.seq), (TcpControl::Rst, peer.ack.wrapping_add(6)));
}

#[test]
fn a_reset_in_the_handshake_needs_the_next_sequence_number() {
    for (ahead, survives) in [(1, true), (4_000, true), (u32::MAX, true), (0, false)] {
        let mut bench = Bench::new();
        bench.greet(PEER.0);
        let syn = crate::bench::syn(PEER, 1_460);
        let answer = bench.tell(&syn).pop().expect("an answer");
        let (seq, ack) = (syn.seq.wrapping_add(1), answer.seq.wrapping_add(1));
        let peer = Peer { address: PEER, node_port: syn.node_port, seq, ack };
        let mut reset = peer.segment(TcpControl::Rst, b"");
        reset.seq = reset.seq.wrapping_add(ahead);
        bench.tell(&reset);
        bench.tell(&peer.segment(TcpControl::None, b""));
        assert_eq!(bench.connections.len() == 1, survives, "{ahead} ahead");
    }
}

#[test]
fn data_with_an_acknowledgement_out_of_range_is_not_taken() {
    for ack_ahead in [1, 7_u32.wrapping_neg(), 100_000, 1 << 31, 100_000_u32.wrapping_neg()] {
        let mut bench = Bench::new();
        let (peer, id) = used(&mut bench);
        let mut forged = peer.segment(TcpControl::Psh, b"forged");
        forged.ack = Some(peer.ack.wrapping_add(ack_ahead));
        bench.tell(&forged);
        assert!(bench.connections.get(id).expect("live").input.is_empty(), "{ack_ahead} ahead");
        bench.tell(&peer.segment(TcpControl::Psh, b"true"));
        assert_eq!(bench.connections.get(id).expect("live").input.as_slice(), b"true");
    }
}
