//! A connection's HTTP, whole and in pieces of any sizes: the same requests are found, the same answers
//! written, and the connection ends alike; also when heads are compared with the one before.
//!
//! Of a refusal only the status is compared: a line without end is refused for what is in it when it comes
//! at once, and as truncated when it comes in pieces, which are not looked at before their line ends.

use wire::http::{HeadReader, Received, Response, Session};
use wire::{Buffer, Instant};

const BODY_BYTES_MAX: usize = 1024;
const BUFFER_BYTES: usize = 1 << 20;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What came of an input.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Each request in full, and its end in the input.
    requests: Vec<(String, Vec<u8>, usize)>,
    answers: Vec<u8>,
    /// How the connection ended.
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not yet.
    Wait,
    Ended,
    /// After the last answer.
    Closed,
    /// With this status.
    Refused(u16),
}

/// The first byte decides the pieces; the rest is what arrives.
pub fn check(bytes: &[u8]) {
    let Some((seed, input)) = bytes.split_first() else { return };
    let whole = serve(input, &mut |left| left);
    let fixed = usize::from(*seed % 32) + 1;
    assert_eq!(serve(input, &mut |_| fixed), whole, "in pieces of {fixed}");
    let mut state = u32::from(*seed) << 8 | 1;
    let mut any = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 27) as usize * usize::from(state & 0x100 == 0)
    };
    assert_eq!(serve(input, &mut any), whole, "in pieces of any size");
}

fn serve(input: &[u8], piece: &mut dyn FnMut(usize) -> usize) -> Seen {
    let mut peer = (Session::new(BODY_BYTES_MAX, Instant::ZERO), HeadReader::default());
    let (mut arrived, mut output) = (Buffer::new(BUFFER_BYTES), Buffer::new(BUFFER_BYTES));
    let mut seen = Seen { requests: Vec::new(), answers: Vec::new(), end: End::Wait };
    let (mut given, mut end) = (0, 0);
    loop {
        let ended = given == input.len();
        let next = given + piece(input.len() - given).clamp(usize::from(!ended), input.len() - given);
        arrived.write(&input[given..next]).expect("room");
        given = next;
        seen.end = receive(&mut peer, &mut arrived, ended, &mut output, &mut end, &mut seen.requests);
        collect(&mut output, &mut seen.answers);
        if ended || seen.end != End::Wait {
            return seen;
        }
    }
}

/// Answers all that there is; how that ended.
fn receive(
    (session, heads): &mut (Session, HeadReader),
    arrived: &mut Buffer,
    ended: bool,
    output: &mut Buffer,
    end: &mut usize,
    requests: &mut Vec<(String, Vec<u8>, usize)>,
) -> End {
    loop {
        match session.receive(arrived.as_slice(), ended, Instant::ZERO, heads, output) {
            Received::Wait => return End::Wait,
            Received::Ended => return End::Ended,
            Received::Refused(refusal) => {
                assert!(refusal.status() >= 400);
                let before = output.len();
                session.refuse(refusal, b"", Instant::ZERO, output).expect("room");
                assert!(session.is_over());
                output.truncate(before);
                return End::Refused(refusal.status());
            }
            Received::Request { request, bytes, .. } => {
                assert!(bytes <= arrived.len() && request.body.len() <= BODY_BYTES_MAX);
                *end += bytes;
                let (path, query, cookie) = (request.path, request.query, request.cookie("a"));
                let line = format!("{:?} {path} {query} {cookie:?}", request.method);
                requests.push((line, request.body.to_vec(), *end));
                arrived.consume(bytes);
            }
        }
        session.answer(&Response::text(200, "ok"), b"", Instant::ZERO, output).expect("room");
        if session.is_over() {
            return End::Closed;
        }
    }
}

/// Takes what was written. Whether leave to send a body was given depends on how that came.
fn collect(output: &mut Buffer, answers: &mut Vec<u8>) {
    let mut written = output.as_slice();
    while let Some(at) = written.windows(CONTINUE.len()).position(|window| window == CONTINUE) {
        answers.extend(&written[..at]);
        written = &written[at + CONTINUE.len()..];
    }
    answers.extend(written);
    output.clear();
}
