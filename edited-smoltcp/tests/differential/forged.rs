//! Segments whose fields are drawn one by one: often what comes next, sometimes anything.

use smoltcp::time::Duration;

use super::pair::{Choices, OWN_ADDRESS, OWN_HARDWARE, PEER_ADDRESS, PEER_HARDWARE, PORT, Pair};

const PEER_PORT: u16 = 40_000;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;
const PAYLOAD_BYTES_MAX: u32 = 260;

/// What the other side believes of the connection.
struct Peer {
    next: u32,
    acknowledged: u32,
    window: u16,
    /// Frames that it has sent, and may send again.
    past: Vec<Vec<u8>>,
}

struct Fields {
    number: u32,
    acknowledged: u32,
    flags: u8,
    window: u16,
    options: Vec<u8>,
    payload: Vec<u8>,
}

/// Plays a handshake, and so many steps behind it.
pub fn play(choices: &mut impl Choices, steps: u32) -> Pair {
    let seed = u64::from(choices.below(u32::MAX)) << 32 | u64::from(choices.below(u32::MAX));
    let mut pair = Pair::new(seed);
    // Near the end of the numbers every other time.
    let first = choices.below(1 << 12).wrapping_sub(choices.below(2) << 11);
    let mut peer = Peer { next: first, acknowledged: 0, window: 4096, past: Vec::new() };
    let syn = Fields {
        number: first,
        acknowledged: 0,
        flags: SYN,
        window: 4096,
        options: syn_options(choices),
        payload: if choices.once_in(16) { vec![9; 9] } else { Vec::new() },
    };
    peer.next = first.wrapping_add(1);
    if choices.below(4) > 0 {
        pair.know_way();
    }
    let mut bytes = frame(&syn);
    spoil(&mut bytes, choices);
    pair.receive(&bytes);
    pair.receive(&frame(&syn));
    hear(&mut peer, &pair.send());
    for _ in 0..steps {
        step(&mut pair, &mut peer, choices);
    }
    pair
}

/// A maximum segment size, and sometimes others, some of them wrong or unknown.
fn syn_options(choices: &mut impl Choices) -> Vec<u8> {
    let mut options = vec![2, 4, 0, [200, 20, 0][choices.below(3) as usize]];
    for _ in 0..choices.below(4) {
        let next: &[u8] = match choices.below(10) {
            0 | 1 => &[1, 3, 3, choices.below(20) as u8],
            2 | 3 => &[1, 1, 4, 2],
            4 | 5 => &[1, 1, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0],
            6 => &[0, 9, 9, 9],
            7 => &[254, 4, 1, 2],
            8 => &[2, 4, 5, 0xb4],
            _ => &[3, 9, 1, 1],
        };
        options.extend(next);
    }
    options
}

fn step(pair: &mut Pair, peer: &mut Peer, choices: &mut impl Choices) {
    match choices.below(16) {
        0..=7 => {
            let next = segment(peer, choices);
            let mut bytes = frame(&next);
            spoil(&mut bytes, choices);
            peer.past.push(bytes.clone());
            pair.receive(&bytes);
        }
        8 => {
            if let Some(again) = peer.past.get(choices.below(peer.past.len().max(1) as u32) as usize) {
                pair.receive(again);
            }
        }
        9 | 10 => drop(pair.read(choices.below(600) as usize)),
        11 | 12 => pair.write(&vec![choices.below(256) as u8; choices.below(600) as usize]),
        13 => pair.wait(pause(choices)),
        14 if choices.once_in(8) => pair.each(|socket| socket.close()),
        14 if choices.once_in(16) => pair.each(|socket| socket.abort()),
        _ => {}
    }
    if choices.below(4) > 0 {
        hear(peer, &pair.send());
    }
}

fn pause(choices: &mut impl Choices) -> Duration {
    match choices.below(8) {
        0 => Duration::from_secs(u64::from(choices.below(25))),
        1 => Duration::from_millis(u64::from(choices.below(1_500))),
        _ => Duration::from_micros(u64::from(choices.below(3_000))),
    }
}

/// The next segment: most of the time what comes next.
fn segment(peer: &mut Peer, choices: &mut impl Choices) -> Fields {
    let bytes = if choices.once_in(2) { 0 } else { choices.below(PAYLOAD_BYTES_MAX) };
    let payload: Vec<u8> = (0..bytes).map(|at| (at as u8) ^ (peer.next as u8)).collect();
    let number = match choices.below(12) {
        0 => peer.next.wrapping_add(choices.below(300)),
        1 => peer.next.wrapping_sub(choices.below(300)),
        _ => {
            let number = peer.next;
            peer.next = peer.next.wrapping_add(bytes);
            number
        }
    };
    let acknowledged = match choices.below(12) {
        0 => peer.acknowledged.wrapping_sub(choices.below(400)),
        1 => peer.acknowledged.wrapping_add(choices.below(400)),
        _ => peer.acknowledged,
    };
    if choices.once_in(10) {
        peer.window = [0, 1, 100, 4096, u16::MAX][choices.below(5) as usize];
    }
    let flags = match choices.below(24) {
        0 => ACK | FIN,
        1 => ACK | RST,
        2 => SYN,
        3 => ACK | URG,
        4 => 0,
        5 => ACK | PSH | 0x40,
        6..=12 => ACK | PSH,
        _ => ACK,
    };
    let options = if choices.once_in(16) { vec![1; 4] } else { Vec::new() };
    Fields { number, acknowledged, flags, window: peer.window, options, payload }
}

/// Makes a frame lie now and then: about its lengths, its addresses, its fragments.
fn spoil(frame: &mut Vec<u8>, choices: &mut impl Choices) {
    match choices.below(64) {
        0 => frame.truncate(choices.below(frame.len() as u32 + 1) as usize),
        1 => frame.extend(vec![0; choices.below(20) as usize]),
        2 => {
            let at = choices.below(frame.len() as u32) as usize;
            frame[at] ^= 1 << choices.below(8);
        }
        3 => {
            let at = 12 + choices.below(12) as usize;
            frame[at] ^= 1 << choices.below(8);
        }
        _ => {}
    }
}

/// Notes what the other side is told.
fn hear(peer: &mut Peer, frames: &[Vec<u8>]) {
    for frame in frames.iter().filter(|frame| frame.len() >= 54 && frame[23] == 6) {
        let number = u32::from_be_bytes(*frame[38..].first_chunk().expect("a header"));
        let flags = frame[47];
        let payload = frame.len() - 34 - usize::from(frame[46] >> 4) * 4;
        let end = number.wrapping_add(payload as u32 + u32::from(flags & (SYN | FIN) != 0));
        peer.acknowledged = end;
    }
}

fn frame(fields: &Fields) -> Vec<u8> {
    let tcp_bytes = 20 + fields.options.len();
    let packet_bytes = (20 + tcp_bytes + fields.payload.len()) as u16;
    [
        &OWN_HARDWARE[..],
        &PEER_HARDWARE,
        &[0x08, 0x00, 0x45, 0],
        &packet_bytes.to_be_bytes(),
        &[0, 0, 0x40, 0, 64, 6, 0, 0],
        &PEER_ADDRESS,
        &OWN_ADDRESS,
        &PEER_PORT.to_be_bytes(),
        &PORT.to_be_bytes(),
        &fields.number.to_be_bytes(),
        &fields.acknowledged.to_be_bytes(),
        &[(tcp_bytes as u8 / 4) << 4, fields.flags],
        &fields.window.to_be_bytes(),
        &[0, 0, 0, 0],
        &fields.options,
        &fields.payload,
    ]
    .concat()
}
