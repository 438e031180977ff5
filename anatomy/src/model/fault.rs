//! A fault in a simulated cluster, by the frames between two of its nodes: what was said, what was lost, what was said
//! again. One seed decides all of it.
//!
//! Reads frames; `cluster` is where they come from.

use std::time::Duration;

use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

use super::figures::Figures;

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The worker.
    Worker,
    /// The store.
    Store,
    /// The store's disk.
    Disk,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Something is said to another node; whether it arrives.
    Message { to: Node, is_lost: bool },
    /// Something happens at the node itself.
    Note,
    /// The node has no power any more.
    PowerCut,
    /// The node starts.
    Start,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, since the vote was sent.
    pub at: Duration,
    /// Who does it.
    pub node: Node,
    /// What it is.
    pub what: What,
    /// In words.
    pub text: String,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What decided everything that was left to chance.
    pub seed: u64,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// How many votes were sent, and how many of them counted at the end.
    pub votes: (u64, u64),
}

/// A frame of TCP between two addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// When it was sent.
    pub at: Duration,
    /// The last byte of the sender's address, and of the receiver's.
    pub hosts: (u8, u8),
    /// What it is for, in words; nothing for a mere acknowledgement.
    pub text: String,
}

/// Bytes of a capture's header and of what precedes each frame (libpcap's classic format).
const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;

/// The frames of TCP in a capture.
pub fn segments(capture: &[u8]) -> Vec<Segment> {
    let mut rest = capture.get(FILE_HEADER_BYTES..).unwrap_or_default();
    let mut segments = Vec::new();
    while let Some((header, behind)) = rest.split_at_checked(RECORD_HEADER_BYTES) {
        let word = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        let Some((frame, next)) = behind.split_at_checked(word(8) as usize) else { break };
        let at = Duration::from_secs(word(0).into()) + Duration::from_micros(word(4).into());
        segments.extend(segment(at, frame));
        rest = next;
    }
    segments
}

fn segment(at: Duration, frame: &[u8]) -> Option<Segment> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    if ethernet.ethertype() != EthernetProtocol::Ipv4 {
        return None;
    }
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if ip.next_header() != IpProtocol::Tcp {
        return None;
    }
    let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
    let text = match (tcp.syn(), tcp.rst(), tcp.payload().is_empty(), tcp.fin()) {
        (true, _, _, _) if tcp.ack() => "connected (SYN, ACK)".to_owned(),
        (true, ..) => "connect (SYN)".to_owned(),
        (_, true, ..) => "reset (RST)".to_owned(),
        (_, _, false, _) => told(tcp.payload()),
        (_, _, _, true) => "end (FIN)".to_owned(),
        _ => String::new(),
    };
    Some(Segment { at, hosts: (ip.src_addr().octets()[3], ip.dst_addr().octets()[3]), text })
}

/// The commands or the replies in some bytes of RESP.
fn told(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    let lines: Vec<&str> = text.split("\r\n").collect();
    let names: Vec<&str> = lines
        .windows(3)
        .filter(|lines| lines[0].starts_with('*') && lines[1].starts_with('$') && is_command(lines[2]))
        .map(|lines| lines[2])
        .collect();
    if !names.is_empty() {
        return counted(&names);
    }
    let first = lines.first().copied().unwrap_or_default();
    let (kind, rest) = first.split_at(first.len().min(1));
    match kind {
        "+" => counted(&lines.iter().filter_map(|line| line.strip_prefix('+')).collect::<Vec<_>>()),
        ":" => format!("number {rest}"),
        "-" => format!("error {rest}"),
        "*" if rest == "-1" => "nothing".to_owned(),
        "*" => format!("{rest} values"),
        "$" if rest == "-1" => "nothing".to_owned(),
        "$" if text.contains("voter_id") => "a vote".to_owned(),
        "$" => "a value".to_owned(),
        _ => format!("{} bytes", payload.len()),
    }
}

fn is_command(word: &str) -> bool {
    word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Words with how often they come in a row.
fn counted(words: &[&str]) -> String {
    let mut runs: Vec<(&str, usize)> = Vec::new();
    for word in words {
        match runs.last_mut() {
            Some((last, count)) if last == word => *count += 1,
            _ => runs.push((word, 1)),
        }
    }
    let told = |(word, count): &(&str, usize)| match count {
        1 => (*word).to_owned(),
        _ => format!("{count} {word}"),
    };
    runs.iter().map(told).collect::<Vec<_>>().join(" ")
}

impl Fault {
    /// How many messages there were, and how many of them were lost.
    pub fn messages(&self) -> (u64, u64) {
        let count = |only_lost: bool| {
            let is_meant =
                |event: &&Event| matches!(event.what, What::Message { is_lost, .. } if is_lost || !only_lost);
            self.events.iter().filter(is_meant).count() as u64
        };
        (count(false), count(true))
    }

    /// The figures of the fault.
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        let (messages, lost) = self.messages();
        figures.add("fault.seed", self.seed);
        figures.add("fault.messages", messages);
        figures.add("fault.messages-lost", lost);
        figures.add("fault.votes-sent", self.votes.0);
        figures.add("fault.votes-counted", self.votes.1);
        let of = |wanted: &What| self.events.iter().find(|event| event.what == *wanted).map(|event| event.at);
        if let (Some(cut), Some(end)) = (of(&What::PowerCut), self.events.last()) {
            figures.add("fault.recovered-after.ms", (end.at.saturating_sub(cut)).as_millis() as u64);
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_replies_are_told_in_short() {
        assert_eq!(told(b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nHLEN\r\n$1\r\na\r\n"), "MULTI HLEN");
        assert_eq!(told(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n"), "OK 2 QUEUED");
        assert_eq!(told(b":7\r\n"), "number 7");
        assert_eq!(told(b"*-1\r\n"), "nothing");
        assert_eq!(told(b"*3\r\n:1\r\n:0\r\n:1\r\n"), "3 values");
        assert_eq!(told(b"-LOADING wait\r\n"), "error LOADING wait");
    }

    #[test]
    fn a_capture_that_is_cut_off_ends_with_its_last_whole_frame() {
        assert!(segments(&[0; 30]).is_empty());
        let mut capture = vec![0; FILE_HEADER_BYTES];
        capture.extend([0, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 1, 2]);
        assert!(segments(&capture).is_empty());
    }

    #[test]
    fn what_was_lost_is_counted() {
        let event =
            |what| Event { at: Duration::from_millis(3), node: Node::Worker, what, text: String::new() };
        let message = |is_lost| event(What::Message { to: Node::Store, is_lost });
        let fault = Fault {
            seed: 1,
            events: vec![message(false), message(true), event(What::PowerCut)],
            votes: (1, 1),
        };
        assert_eq!(fault.messages(), (2, 1));
        assert_eq!(fault.figures().get("fault.messages-lost"), Some(1));
    }
}
