//! Ends of connections on a bad way, and answers to peers that take little at once.

use std::time::Duration;

use smoltcp::wire::TcpControl;

use crate::bench::{Bench, PEER, Segment};
use kernel_app::stack::{CLOSING_MAX, LINGER};

fn has_reset(segments: &[Segment]) -> bool {
    segments.iter().any(|segment| segment.control == TcpControl::Rst)
}

#[test]
fn an_answer_whose_end_is_lost_three_times_arrives() {
    let mut bench = Bench::new();
    let (mut peer, id) = bench.connect(PEER, 1_460);
    bench.write(id, &[b'a'; 2_000], true);
    let lost: Vec<_> = bench.segments_for(Duration::from_millis(7_500));
    let mut times: Vec<u64> = lost.iter().map(|(at, _)| at.as_micros() / 1_000_000).collect();
    times.dedup();
    assert_eq!(times, [1, 2, 4, 8], "at once, and after 1, 3 and 7 s");
    assert!(!lost.iter().any(|(_, segment)| segment.control == TcpControl::Rst));
    // The next try gets through.
    let (_, last) = lost.last().expect("sent");
    assert_eq!(last.control, TcpControl::Fin);
    peer.ack = last.seq.wrapping_add(last.payload.len() as u32 + 1);
    assert!(!has_reset(&bench.tell(&peer.segment(TcpControl::None, b""))));
    assert!(bench.is_open(id), "the peer's own end is waited for");
    bench.tell(&peer.segment(TcpControl::Fin, b""));
    assert!(!bench.is_open(id));
}

#[test]
fn a_peer_that_never_acknowledges_our_fin_is_dropped() {
    let mut bench = Bench::new();
    let (_, id) = bench.connect(PEER, 1_460);
    bench.write(id, b"answer", true);
    bench.run_for(CLOSING_MAX - Duration::from_secs(1));
    assert!(bench.is_open(id));
    bench.run_for(Duration::from_secs(2));
    assert!(!bench.is_open(id));
}

#[test]
fn a_peer_that_acknowledges_all_but_never_closes_is_dropped_sooner() {
    let mut bench = Bench::new();
    let (mut peer, id) = bench.connect(PEER, 1_460);
    bench.write(id, b"answer", true);
    bench.segments();
    bench.run_for(Duration::from_millis(900));
    peer.ack = peer.ack.wrapping_add(7);
    bench.tell(&peer.segment(TcpControl::None, b""));
    bench.run_for(LINGER - Duration::from_millis(100));
    assert!(bench.is_open(id), "its time begins with its acknowledgement");
    bench.run_for(Duration::from_millis(200));
    assert!(!bench.is_open(id));
}

/// The bytes of each segment with which an answer is sent at once.
fn sizes(segment_bytes: u16, answer_bytes: usize) -> Vec<usize> {
    let mut bench = Bench::new();
    let (_, id) = bench.connect(PEER, segment_bytes);
    bench.write(id, &vec![b'a'; answer_bytes], false);
    bench.segments().iter().map(|segment| segment.payload.len()).collect()
}

#[test]
fn peers_that_take_small_segments_get_all_of_an_answer_at_once() {
    assert_eq!(sizes(1_460, 1_400), [1_400]);
    assert_eq!(sizes(536, 1_400), [536, 536, 328]);
    assert_eq!(sizes(1_300, 8_000), [1_300, 1_300, 1_300, 1_300, 1_300, 1_300, 200]);
    assert_eq!(sizes(536, 8_192).len(), 16);
    assert_eq!(sizes(0, 1_400), [536, 536, 328], "as if nothing were said");
    assert_eq!(sizes(1, 96), [48, 48], "smoltcp's least");
    assert_eq!(sizes(9_000, 3_000), [1_460, 1_460, 80]);
}

#[test]
fn an_acknowledgement_makes_way_for_as_much_as_it_says() {
    let mut bench = Bench::new();
    let (mut peer, id) = bench.connect(PEER, 536);
    bench.write(id, &vec![b'a'; 30_000], false);
    let mut received = bench.segments().iter().map(|segment| segment.payload.len()).sum::<usize>();
    let mut round_trips = 0;
    while received < 30_000 {
        peer.ack = peer.ack.wrapping_add(8_192.min(received as u32));
        let sent = bench.tell(&peer.segment(TcpControl::None, b""));
        received += sent.iter().map(|segment| segment.payload.len()).sum::<usize>();
        round_trips += 1;
        assert!(round_trips <= 8, "{received} bytes in {round_trips} round trips");
    }
}
