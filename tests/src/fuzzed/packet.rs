//! Frames from a network card, each behind its header: whatever they are, a node's stack stands. As long as the card
//! vouches for no checksum, the stack does what it does with a card that knows of none.

use kernel_app::connections::Connections;
use kernel_app::network::Network;
use kernel_app::service::Origin;
use kernel_app::stack::{
    Address, NET_HEADER_BYTES, ReceivedChecksum, SOCKETS_MIN, Seeds, SmoltcpNetwork, StackConfig,
};
use simulator::device::SimulatedDevice;
use simulator::random::Random;
use std::time::Duration;
use wire::Instant;

/// Most packets of an input.
const PACKETS_MAX: usize = 32;
/// What passes between two of them.
const PAUSE: Duration = Duration::from_millis(300);

/// A stack without services, as `fuzz/corpus/packet` knows it: 10.0.0.1, port 80.
struct Node {
    network: SmoltcpNetwork<SimulatedDevice>,
    connections: Connections,
    now: Instant,
}

impl Node {
    fn new(device: SimulatedDevice) -> Self {
        let config = StackConfig {
            hardware_address: [2, 0, 0, 0, 0, 1],
            address: Address::Static { cidr: "10.0.0.1/24".into(), gateway: None, dns: None },
            mtu: None,
            sockets_max: SOCKETS_MIN,
            seeds: Seeds::draw(&mut Random::new(1)),
        };
        let now = Instant::from_millis(1_000);
        let mut network = SmoltcpNetwork::new(device, &config, now).expect("a usable address");
        network.listen(80, 0, Origin::Accepted(0)).expect("a free port");
        Self { network, connections: Connections::new(), now }
    }

    /// A packet arrives: what is sent then.
    fn hear(&mut self, (header, frame): ([u8; NET_HEADER_BYTES], &[u8])) -> Vec<Vec<u8>> {
        assert!(self.network.device_mut().receive_packet(header, frame.to_vec()), "the ring has room");
        self.connections.begin_turn(self.now);
        self.network.poll(self.now, &mut self.connections, &mut Vec::new());
        self.network.flush(self.now, &mut self.connections);
        self.now = self.now + PAUSE;
        self.network.device_mut().take_sent()
    }
}

/// The packets of an input: a header, two bytes that say how long its frame is, and the frame; the last one may be cut.
fn packets(mut input: &[u8]) -> impl Iterator<Item = ([u8; NET_HEADER_BYTES], &[u8])> {
    std::iter::from_fn(move || {
        let (header, rest) = input.split_first_chunk::<NET_HEADER_BYTES>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (frame, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        input = rest;
        Some((*header, frame))
    })
}

/// Gives a node the packets of the input.
pub fn check(bytes: &[u8]) {
    let mut plain = Node::new(SimulatedDevice::default());
    let mut offloaded = Node::new(SimulatedDevice::with_offload());
    let mut vouches = false;
    for packet in packets(bytes).take(PACKETS_MAX) {
        vouches |= ReceivedChecksum::of_header(&packet.0) != ReceivedChecksum::Unknown;
        let (one, other) = (plain.hear(packet), offloaded.hear(packet));
        assert!(vouches || one == other, "{one:x?} without offload, {other:x?} with it");
    }
}
