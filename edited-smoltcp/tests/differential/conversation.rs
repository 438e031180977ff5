//! A conversation with a third stack, over a wire that loses, repeats and reorders.

use smoltcp::socket::tcp::State;
use smoltcp::time::Duration;
use smoltcp::wire::IpAddress;

use super::pair::{Choices, OWN_ADDRESS, OWN_HARDWARE, PEER_ADDRESS, PEER_HARDWARE, PORT, Pair, Stack};

const PEER_PORT: u16 = 40_000;

/// The third stack, and what is under way to the two.
struct Client {
    stack: Stack,
    under_way: Vec<Vec<u8>>,
}

/// Plays so many steps.
pub fn play(choices: &mut impl Choices, steps: u32) -> Pair {
    let mut seed = || u64::from(choices.below(u32::MAX)) << 32 | u64::from(choices.below(u32::MAX));
    let mut pair = Pair::new(seed());
    let mut client = Client { stack: Stack::new(PEER_HARDWARE, PEER_ADDRESS, seed()), under_way: Vec::new() };
    if choices.once_in(2) {
        pair.know_way();
    }
    client.connect(&pair);
    for _ in 0..steps {
        match choices.below(8) {
            0 | 1 => drop(client.stack.socket().send_slice(&vec![7; choices.below(500) as usize])),
            2 | 3 => pair.write(&vec![choices.below(256) as u8; choices.below(500) as usize]),
            4 => drop(pair.read(choices.below(700) as usize)),
            5 => drop(client.stack.socket().recv_slice(&mut vec![0; choices.below(700) as usize])),
            6 if choices.once_in(12) => client.stack.socket().close(),
            6 if choices.once_in(12) => pair.each(|socket| socket.close()),
            _ => pair.wait(Duration::from_millis(u64::from(choices.below(40)))),
        }
        client.exchange(&mut pair, choices);
        if pair.state() != State::Established && choices.once_in(8) {
            pair.wait(Duration::from_millis(1_100));
        }
    }
    pair
}

impl Client {
    fn connect(&mut self, pair: &Pair) {
        let [a, b, c, d] = OWN_ADDRESS;
        // Where the two are, as they would tell.
        let mut reply = vec![0; 42];
        reply[..6].copy_from_slice(&PEER_HARDWARE);
        reply[6..12].copy_from_slice(&OWN_HARDWARE);
        reply[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2]);
        reply[22..28].copy_from_slice(&OWN_HARDWARE);
        reply[28..32].copy_from_slice(&OWN_ADDRESS);
        reply[32..38].copy_from_slice(&PEER_HARDWARE);
        reply[38..42].copy_from_slice(&PEER_ADDRESS);
        self.stack.receive(&reply, pair.now);
        let Stack { interface, sockets, handle, .. } = &mut self.stack;
        let socket = sockets.get_mut::<smoltcp::socket::tcp::Socket<'_>>(*handle);
        let remote = (IpAddress::v4(a, b, c, d), PORT);
        socket.connect(interface.context(), remote, PEER_PORT).expect("a closed socket");
    }

    /// What is sent goes to and fro, for a few turns.
    fn exchange(&mut self, pair: &mut Pair, choices: &mut impl Choices) {
        for _ in 0..1 + choices.below(3) {
            while self.stack.send(pair.now) {}
            self.under_way.append(&mut self.stack.wire.sent);
            if self.under_way.len() > 1 && choices.once_in(12) {
                let other = choices.below(self.under_way.len() as u32) as usize;
                self.under_way.swap(0, other);
            }
            for frame in core::mem::take(&mut self.under_way) {
                match choices.below(32) {
                    0 => {}
                    1 => self.under_way.push(frame),
                    2 => {
                        pair.receive(&frame);
                        pair.receive(&frame);
                    }
                    _ => pair.receive(&frame),
                }
            }
            for frame in pair.send() {
                if !choices.once_in(32) {
                    self.stack.receive(&frame, pair.now);
                }
            }
        }
    }
}
