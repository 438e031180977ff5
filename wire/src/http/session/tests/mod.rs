//! A session fed with bytes in pieces of every size, and what it makes of them.

mod output;
mod rules;
mod time;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Received, Session};
use crate::buffer::Buffer;
use crate::http::{HeadReader, Refusal, Response};
use crate::time::Instant;

const BODY_BYTES_MAX: usize = 32;
const NOW: Instant = Instant::from_millis(1_000);

/// A session with its buffers.
struct Peer {
    session: Session,
    heads: HeadReader,
    input: Buffer,
    output: Buffer,
    ended: bool,
}

/// What a call of `receive` found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Wait,
    /// Method, path, query and body.
    Request(String),
    Refused(Refusal),
    Ended,
}

impl Peer {
    fn new() -> Self {
        let session = Session::new(BODY_BYTES_MAX, NOW);
        Self {
            session,
            heads: HeadReader::default(),
            input: Buffer::new(1 << 20),
            output: Buffer::new(1 << 20),
            ended: false,
        }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.write(bytes.as_ref()).expect("room");
    }

    fn receive(&mut self, now: Instant) -> Found {
        let input = self.input.as_slice();
        match self.session.receive(input, self.ended, now, &mut self.heads, &mut self.output) {
            Received::Wait => Found::Wait,
            Received::Refused(refusal) => Found::Refused(refusal),
            Received::Ended => Found::Ended,
            Received::Request { request, bytes, .. } => {
                let body = request.body.escape_ascii();
                let found = format!("{} {} {} {body}", request.method.name(), request.path, request.query);
                self.input.consume(bytes);
                Found::Request(found)
            }
        }
    }

    fn answer(&mut self, response: &Response<'_>) {
        self.session.answer(response, b"", NOW, &mut self.output).expect("room");
    }

    /// Everything written since the last call.
    fn take_output(&mut self) -> String {
        let text = String::from_utf8(self.output.as_slice().to_vec()).expect("text");
        self.output.clear();
        text
    }

    /// Answers requests with `ok` until there is none: what was found on the way.
    fn serve(&mut self) -> Vec<String> {
        let mut log = Vec::new();
        loop {
            match self.receive(NOW) {
                Found::Wait => return log,
                Found::Ended => {
                    log.push("end".to_string());
                    return log;
                }
                Found::Refused(refusal) => {
                    self.session.refuse(refusal, b"", NOW, &mut self.output).expect("room");
                    log.push(format!("{} {refusal:?}", refusal.status()));
                }
                Found::Request(request) => {
                    self.answer(&Response::new(200, "", b"ok"));
                    log.push(request.trim_end().to_string());
                }
            }
        }
    }
}

/// Serves `input` in pieces of `piece` bytes, then its end: the log and the output.
fn serve_pieces(input: &[u8], piece: usize) -> (Vec<String>, String) {
    let mut peer = Peer::new();
    let mut log = Vec::new();
    for part in input.chunks(piece) {
        peer.send(part);
        log.append(&mut peer.serve());
    }
    peer.ended = true;
    log.append(&mut peer.serve());
    (log, peer.take_output())
}

/// Serves `input` whole and in pieces, which must come to the same: the log and the output.
fn serve(input: impl AsRef<[u8]>) -> (Vec<String>, String) {
    let input = input.as_ref();
    let whole = serve_pieces(input, input.len().max(1));
    for piece in 1..=17 {
        assert_eq!(serve_pieces(input, piece), whole, "pieces of {piece} of {}", input.escape_ascii());
    }
    whole
}

/// What is found in `input`, before the end of the connection.
fn found(input: impl AsRef<[u8]>) -> Vec<String> {
    let (mut log, _) = serve(input);
    log.pop_if(|last| last == "end");
    log
}
