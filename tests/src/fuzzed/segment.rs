//! What a machine can send on the application's own network: frames of any content, DHCP and DNS messages. What
//! passes must be allowed, and what is answered must be for the machine that asked.
//!
//! The first byte of the input is the machine; the rest is its stream of frames, and each time also one message.

use std::io::{self, ErrorKind, Read, Write};

use segment::Segment;
use segment::frame::{FRAME_BYTES_MAX, Frame};
use segment::gateway::Stream;
use segment::layout::{GATEWAY_HARDWARE, Layout, Station, address, hardware_address};
use segment::queue::{Filled, FrameReader, QUEUE_BYTES_MAX};
use segment::respond::{dhcp, dns};
use segment::switch::{Verdict, classify};

/// Largest reply of DNS.
const NAME_REPLY_BYTES_MAX: usize = 512;
/// A port of the gateway that stands for a server outside.
const OUTSIDE_PORT: u16 = 5432;

/// A stream on which nothing happens.
struct Silence;

impl Read for Silence {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}

impl Write for Silence {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Silence {
    fn is_connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn end_output(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reset_on_close(&mut self) {}
}

/// Three machines: the second is told of a server outside, the third shares no network.
fn layout() -> Layout {
    let station = |service: &str, network: &str, exposes: &[u16], outgoing: &[u16]| Station {
        name: format!("{service}-1"),
        service: service.to_owned(),
        networks: vec![network.to_owned()],
        exposes: exposes.to_vec(),
        told_of: Vec::new(),
        outgoing: outgoing.to_vec(),
    };
    Layout::new(vec![
        station("store", "back", &[6379], &[]),
        station("worker", "back", &[8082], &[OUTSIDE_PORT]),
        station("stranger", "other", &[1], &[]),
    ])
}

/// Sends what `bytes` say as stations of a segment.
pub fn check(bytes: &[u8]) {
    let Some((machine, input)) = bytes.split_first() else { return };
    let layout = layout();
    let from = usize::from(*machine) % layout.stations().len();
    messages(&layout, from, input);
    let mut segment = Segment::new(layout, 7, None);
    (0..segment.layout.stations().len()).for_each(|station| segment.plug(station, true));
    let (mut reader, mut rest) = (FrameReader::default(), input);
    while matches!(reader.fill(&mut rest), Ok(Filled::Some { .. })) {
        while let Ok(Some(frame)) = reader.next_frame() {
            passes_only_if_allowed(&segment.layout, from, frame);
            segment.receive(from, frame, &mut |port, _| {
                assert_eq!((from, port), (1, OUTSIDE_PORT), "only who is told of a server reaches it");
                Some(Silence)
            });
        }
    }
    segment.turn(&mut |_, _| None);
    for station in 0..segment.layout.stations().len() {
        assert!(segment.fabric.queue(station).len() <= QUEUE_BYTES_MAX + FRAME_BYTES_MAX);
        arrives_at_its_station(&mut segment, from, station);
    }
}

fn messages(layout: &Layout, from: usize, message: &[u8]) {
    if let Some(reply) = dns::answer(layout, from, message) {
        assert!(reply.len() <= NAME_REPLY_BYTES_MAX && reply[..2] == message[..2]);
        assert_eq!(dns::answer(layout, from, &reply), None, "a reply is not answered");
    }
    if let Some(reply) = dhcp::answer(message, hardware_address(from), address(from)) {
        assert!(reply.to == address(from) || reply.to.is_broadcast() || !reply.to.is_unspecified());
    }
}

fn passes_only_if_allowed(layout: &Layout, from: usize, bytes: &[u8]) {
    let Verdict::Station(to) = classify(layout, from, bytes) else { return };
    let frame = Frame::parse(bytes).expect("what passes is a frame");
    assert_eq!((frame.source, frame.destination), (hardware_address(from), hardware_address(to)));
    assert!(layout.share_network(from, to));
}

/// What waits for a station is for it, from its neighbour or the gateway.
fn arrives_at_its_station(segment: &mut Segment<Silence>, from: usize, station: usize) {
    let (mut stream, mut reader) = (Vec::new(), FrameReader::default());
    segment.fabric.queue(station).flush(&mut stream).expect("memory takes all");
    let mut stream = stream.as_slice();
    while matches!(reader.fill(&mut stream), Ok(Filled::Some { .. })) {
        while let Ok(Some(bytes)) = reader.next_frame() {
            let frame = Frame::parse(bytes).expect("a frame");
            assert_eq!(frame.destination, hardware_address(station));
            assert!(
                frame.source == GATEWAY_HARDWARE
                    || (frame.source == hardware_address(from) && from != station)
            );
        }
    }
}
