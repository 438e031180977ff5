//! A device that takes no frames any more: what arrives is read all the same, and nothing spins until there is room.

use std::time::Duration;

use kernel_app::connections::Connections;
use kernel_app::network::Network;
use kernel_app::stack::{Address, NO_ROOM_PAUSE, Seeds, SmoltcpNetwork, StackConfig};
use kernel_app::stack::{FrameDevice, Transmitter};
use simulator::device::{SEND_FRAMES_MAX, SimulatedDevice};
use simulator::random::Random;
use wire::Instant;

const OWN: [u8; 4] = [10, 0, 0, 2];

/// An ARP request for the node's address, which it answers at once.
fn arp_request(sender: u8) -> Vec<u8> {
    let hardware = [2, 0, 0, 0, 0, sender];
    let mut frame = [0xff; 6].to_vec();
    frame.extend(hardware);
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(hardware);
    frame.extend([10, 0, 0, sender]);
    frame.extend([0; 6]);
    frame.extend(OWN);
    frame
}

struct Node {
    network: SmoltcpNetwork<SimulatedDevice>,
    connections: Connections,
    now: Instant,
}

impl Node {
    fn new() -> Self {
        let cidr = String::from("10.0.0.2/24");
        let config = StackConfig {
            hardware_address: [2, 0, 0, 0, 0, 2],
            address: Address::Static { cidr, gateway: None, dns: None },
            sockets_max: 64,
            seeds: Seeds::draw(&mut Random::new(1)),
            mtu: None,
        };
        let now = Instant::from_micros(1_000_000);
        let network = SmoltcpNetwork::new(SimulatedDevice::default(), &config, now).expect("an address");
        Self { network, connections: Connections::new(), now }
    }

    fn turn(&mut self) -> Option<Instant> {
        self.now = self.now + Duration::from_micros(50);
        let mut events = Vec::new();
        self.network.poll(self.now, &mut self.connections, &mut events);
        self.network.flush(self.now, &mut self.connections);
        self.network.next_deadline(self.now)
    }

    fn receive(&mut self, frames: usize) {
        for index in 0..frames {
            let is_in = self.network.device_mut().receive_frame(arp_request(3 + (index % 200) as u8));
            assert!(is_in, "the receive ring has room");
        }
    }
}

#[test]
fn reception_goes_on_and_nothing_spins_while_a_device_takes_no_frames() {
    let mut node = Node::new();
    for _ in 0..2 {
        node.receive(SEND_FRAMES_MAX);
        node.turn();
    }
    assert!(!node.network.device_mut().transmitter().has_room(), "the ring is full of answers");
    node.receive(100);
    for turn in 0..5 {
        let due = node.turn();
        let sleeps = due.is_none_or(|due| due >= node.now + NO_ROOM_PAUSE);
        assert!(sleeps, "turn {turn} asks for another one at once");
    }
    assert!(node.network.device_mut().peek().is_none(), "all that has arrived was read");
    assert_eq!(node.network.device_mut().take_sent().len(), SEND_FRAMES_MAX, "and no more was kept");
    node.receive(1);
    node.turn();
    assert_eq!(node.network.device_mut().take_sent().len(), 1, "with room there are answers again");
}
