//! DNS (RFC 1035): the names of services and instances that share a network with the asking station.
//!
//! The server is authoritative and asks no other server: any other name does not exist. Names are bounded, compressed
//! names in questions are refused, and a reply fits into 512 bytes.

use std::net::Ipv4Addr;

use crate::layout::{self, Layout};

const HEADER_BYTES: usize = 12;
/// Longest name on the wire (section 2.3.4).
const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: u8 = 63;
/// Largest reply without extensions (section 4.2.1).
const REPLY_BYTES_MAX: usize = 512;
/// An answer that points at the question's name: type A, class IN, and an address.
const ANSWER_BYTES: usize = 16;
/// How long an answer may be kept, in seconds. Addresses are fixed, services are not.
const TTL_S: u32 = 5;
const TYPE_A: u16 = 1;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;

/// What a reply says (section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    NoError = 0,
    FormatError = 1,
    NameError = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// A question as it lies in a message.
struct Question {
    /// Length with type and class.
    bytes: usize,
    /// In lower case, labels separated by dots.
    name: String,
    kind: u16,
    class: u16,
}

/// The reply to a message from a station; none to what is no question.
pub fn answer(layout: &Layout, from: usize, message: &[u8]) -> Option<Vec<u8>> {
    let header = message.first_chunk::<HEADER_BYTES>()?;
    // A response is not answered, or two servers could go on for ever.
    if header[2] & 0x80 != 0 {
        return None;
    }
    if header[2] & 0x78 != 0 {
        return Some(reply(message, 0, Code::NotImplemented, &[]));
    }
    let counted = u16::from_be_bytes([header[4], header[5]]);
    let question = parse(&message[HEADER_BYTES..]).filter(|_| counted == 1);
    let Some(question) = question else { return Some(reply(message, 0, Code::FormatError, &[])) };
    if !matches!(question.class, CLASS_IN | CLASS_ANY) {
        return Some(reply(message, question.bytes, Code::Refused, &[]));
    }
    let addresses = addresses(layout, from, &question.name);
    let code = if addresses.is_empty() { Code::NameError } else { Code::NoError };
    let told: &[Ipv4Addr] = if matches!(question.kind, TYPE_A | TYPE_ANY) { &addresses } else { &[] };
    Some(reply(message, question.bytes, code, told))
}

/// The addresses of a name, beginning with another one for each station that asks: many take the first.
fn addresses(layout: &Layout, from: usize, name: &str) -> Vec<Ipv4Addr> {
    let mut stations = layout.named(name);
    stations.retain(|station| *station == from || layout.share_network(from, *station));
    let turn =
        layout.stations()[..from].iter().filter(|other| other.service == layout.stations()[from].service);
    let turn = turn.count() % stations.len().max(1);
    stations.rotate_left(turn);
    stations.into_iter().map(layout::address).collect()
}

fn parse(bytes: &[u8]) -> Option<Question> {
    let (mut name, mut at) = (String::new(), 0);
    loop {
        let length = *bytes.get(at)?;
        at += 1;
        if length == 0 {
            break;
        }
        if length > LABEL_BYTES_MAX || at + usize::from(length) >= NAME_BYTES_MAX {
            return None;
        }
        let label = bytes.get(at..at + usize::from(length))?;
        at += usize::from(length);
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
    }
    let tail = bytes.get(at..)?.first_chunk::<4>()?;
    let (kind, class) = (u16::from_be_bytes([tail[0], tail[1]]), u16::from_be_bytes([tail[2], tail[3]]));
    Some(Question { bytes: at + tail.len(), name, kind, class })
}

/// A reply to `message`, whose question takes `question_bytes` after the header.
fn reply(message: &[u8], question_bytes: usize, code: Code, addresses: &[Ipv4Addr]) -> Vec<u8> {
    let room = REPLY_BYTES_MAX - HEADER_BYTES - question_bytes;
    let addresses = &addresses[..addresses.len().min(room / ANSWER_BYTES)];
    let mut reply = message[..HEADER_BYTES + question_bytes].to_vec();
    // A response, authoritative; whether recursion is desired is repeated, and clients expect it to be had.
    reply[2] = 0x84 | (message[2] & 0x79);
    reply[3] = 0x80 | code as u8;
    let counts = [u16::from(question_bytes > 0), addresses.len() as u16, 0, 0];
    for (place, count) in reply[4..HEADER_BYTES].chunks_exact_mut(2).zip(counts) {
        place.copy_from_slice(&count.to_be_bytes());
    }
    for address in addresses {
        reply.extend([0xc0, HEADER_BYTES as u8]);
        reply.extend(TYPE_A.to_be_bytes());
        reply.extend(CLASS_IN.to_be_bytes());
        reply.extend(TTL_S.to_be_bytes());
        reply.extend(4_u16.to_be_bytes());
        reply.extend(address.octets());
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Station;
    use crate::layout::tests::voting;

    const AAAA: u16 = 28;

    fn question(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(label.len() as u8);
            message.extend(label.bytes());
        }
        message.push(0);
        message.extend(kind.to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        message
    }

    /// The code and the addresses of a reply.
    fn ask(layout: &Layout, from: usize, message: &[u8]) -> Option<(u8, Vec<Ipv4Addr>)> {
        let reply = answer(layout, from, message)?;
        assert!(reply.len() <= REPLY_BYTES_MAX && reply[..2] == message[..2] && reply[2] & 0x84 == 0x84);
        let count = usize::from(u16::from_be_bytes([reply[6], reply[7]]));
        let answers = &reply[reply.len() - count * ANSWER_BYTES..];
        let address = |answer: &[u8]| Ipv4Addr::from_octets(*answer[12..].first_chunk().expect("an address"));
        Some((reply[3] & 0x0f, answers.chunks(ANSWER_BYTES).map(address).collect()))
    }

    #[test]
    fn services_and_instances_of_a_shared_network_have_addresses() {
        let layout = voting();
        let store = vec![layout::address(0)];
        for name in ["store", "STORE", "store-1"] {
            assert_eq!(ask(&layout, 1, &question(name, TYPE_A)), Some((0, store.clone())), "{name}");
        }
        assert_eq!(ask(&layout, 1, &question("store", AAAA)), Some((0, vec![])), "the name exists");
        for name in ["stranger", "nobody", "store.example"] {
            assert_eq!(ask(&layout, 1, &question(name, TYPE_A)), Some((3, vec![])), "{name}");
        }
    }

    #[test]
    fn instances_of_one_service_begin_with_different_instances_of_the_other() {
        let station = |service: &str, number: usize| Station {
            name: format!("{service}-{number}"),
            service: service.to_owned(),
            networks: vec!["n".to_owned()],
            ..Station::default()
        };
        let mut stations: Vec<_> = (1..=3).map(|number| station("store", number)).collect();
        stations.extend((1..=4).map(|number| station("vote", number)));
        let layout = Layout::new(stations);
        let firsts: Vec<_> =
            (3..7).map(|from| ask(&layout, from, &question("store", TYPE_A)).expect("an answer").1).collect();
        assert!(firsts.iter().all(|addresses| addresses.len() == 3));
        let first = |index: usize| firsts[index][0];
        assert_eq!([first(0), first(1), first(2), first(3)], [0, 1, 2, 0].map(layout::address));
    }

    #[test]
    fn invalid_dns_queries_are_refused_or_ignored() {
        let layout = voting();
        let good = question("store", TYPE_A);
        let changed = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            ask(&layout, 1, &message).map(|(code, _)| code)
        };
        assert_eq!(changed(2, 0x80), None, "a response");
        assert_eq!(changed(2, 0x28), Some(4), "an update");
        assert_eq!(changed(5, 2), Some(1), "two questions");
        assert_eq!(changed(12, 0xc0), Some(1), "a compressed name");
        assert_eq!(changed(good.len() - 1, 3), Some(5), "Chaos");
        assert_eq!(ask(&layout, 1, &good[..HEADER_BYTES - 1]), None);
        for length in HEADER_BYTES..good.len() {
            assert_eq!(ask(&layout, 1, &good[..length]), Some((1, vec![])), "{length}");
        }
        let long = vec!["a".repeat(63); 4].join(".");
        assert_eq!(ask(&layout, 1, &question(&long, TYPE_A)), Some((1, vec![])));
    }
}
