//! HTTP on one connection: it reads requests from the input one at a time, and writes answers to the output in the
//! same order.
//!
//! It owns neither buffer. Pipelined requests wait in the input, whose limit bounds them.

mod answer;
mod stall;
#[cfg(test)]
mod tests;
mod timers;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::chunked::ChunkedDecoder;
use super::head::{self, Facts, Framing, Version};
use super::head_reader::{Head, HeadReader};
use super::limits::{HEAD_BYTES_MAX, REQUEST_LINE_BYTES_MAX};
use super::response::CONTINUE;
use super::{Method, Refusal, Request};
use crate::buffer::Buffer;
use crate::time::Instant;
use stall::Stall;
pub use timers::{Check, Expiry};

/// The state of one connection.
#[derive(Debug)]
pub struct Session {
    body_bytes_max: usize,
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// Bytes of the unfinished head or body that have arrived.
    arrived: usize,
    /// Counts requests, to tell a late answer from a timely one.
    serial: u32,
    method: Method,
    version: Version,
    persists: bool,
    /// The next answer is the last one.
    is_dismissed: bool,
    chunked: Option<Box<ChunkedBody>>,
    stall: Stall,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of the next request has arrived.
    Idle,
    /// Part of a head has arrived; the first `seen` bytes were looked at in vain.
    Head { seen: usize },
    /// A head of `head_bytes` has arrived and part of its body.
    Body { head_bytes: usize, framing: Framing },
    /// The service has the request.
    Answering,
    /// The service adds to a body of unknown length.
    Streaming,
    /// The last answer is written; no more requests are read.
    Over,
}

#[derive(Debug)]
struct ChunkedBody {
    decoder: ChunkedDecoder,
    /// Coded bytes decoded so far.
    used: usize,
    complete: bool,
    body: Vec<u8>,
}

/// What the input holds.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a> {
    /// No complete request yet, or one is still to be answered.
    Wait,
    /// A request, which is the first `bytes` bytes of the input. It must be answered before the next.
    Request {
        /// The request.
        request: Request<'a>,
        /// Consume these once the request is no longer needed.
        bytes: usize,
        /// Number of the request on its connection.
        serial: u32,
    },
    /// A broken rule; answer with [`Session::refuse`], then close.
    Refused(Refusal),
    /// Nothing more will come and nothing is to be answered: close.
    Ended,
}

impl Session {
    /// A connection that was just accepted.
    pub fn new(body_bytes_max: usize, now: Instant) -> Self {
        Self {
            body_bytes_max,
            phase: Phase::Idle,
            since: now,
            arrived: 0,
            serial: 0,
            method: Method::Other,
            version: Version::One,
            persists: true,
            is_dismissed: false,
            chunked: None,
            stall: Stall::default(),
        }
    }

    /// Reads on: `input` is all that has arrived and was not consumed, `ended` says that no more will come.
    /// Writes `100 Continue` into `output` where a client waits for it.
    pub fn receive<'a>(
        &'a mut self,
        input: &'a [u8],
        ended: bool,
        now: Instant,
        heads: &'a mut HeadReader,
        output: &mut Buffer,
    ) -> Received<'a> {
        if !self.is_receiving() {
            return if ended && self.phase == Phase::Streaming { Received::Ended } else { Received::Wait };
        }
        match self.next_request(input, now, heads, output) {
            Ok(Some((head, bytes))) => {
                let serial = self.serial.wrapping_add(1);
                Received::Request { request: self.deliver(&head, input, bytes, now), bytes, serial }
            }
            Ok(None) if ended && input.len() > head::empty_line(input) => {
                Received::Refused(Refusal::Truncated)
            }
            Ok(None) if ended => Received::Ended,
            Ok(None) => Received::Wait,
            Err(refusal) => Received::Refused(refusal),
        }
    }

    /// Whether a request is awaited or arriving.
    pub fn is_receiving(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Head { .. } | Phase::Body { .. })
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether the last answer is written: send what is in the output, then close.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whether the request with this [`Session::serial`] still waits for its answer.
    pub fn is_answering(&self, serial: u32) -> bool {
        self.phase == Phase::Answering && self.serial == serial
    }

    /// Whether the answer to the request with this [`Session::serial`] is being streamed.
    pub fn is_streaming(&self, serial: u32) -> bool {
        self.phase == Phase::Streaming && self.serial == serial
    }

    /// Makes the answer that is under way, or else the next one, the last: it says so, and no more requests are
    /// read.
    pub fn dismiss(&mut self) {
        self.is_dismissed = true;
        self.persists = false;
    }

    /// Number of the request that was received last.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Method of the request that was received last.
    pub fn method(&self) -> Method {
        self.method
    }

    /// When the current phase began: while a request is answered, when it had arrived.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The next request's head and its length with the body, once both have arrived.
    fn next_request<'a>(
        &mut self,
        input: &'a [u8],
        now: Instant,
        heads: &'a mut HeadReader,
        output: &mut Buffer,
    ) -> Result<Option<(Head<'a>, usize)>, Refusal> {
        if let Phase::Body { head_bytes, framing } = self.phase {
            return match self.body_end(input, head_bytes, framing)? {
                Some(bytes) => Ok(heads.read(input)?.map(|head| (head, bytes))),
                None => Ok(None),
            };
        }
        if !self.is_worth_parsing(input) {
            return Ok(None);
        }
        let Some(head) = heads.read(input)? else {
            self.await_head(input, now);
            return Ok(None);
        };
        let Facts { framing, bytes, expects_continue, .. } = head.facts;
        if framing == Framing::Length(0) {
            return Ok(Some((head, bytes)));
        }
        self.begin_body(head.facts, now)?;
        let end = self.body_end(input, bytes, framing)?;
        if end.is_none() && expects_continue && input.len() == bytes {
            // Without room the client waits in vain, as it must be ready to (RFC 9110 section 10.1.1).
            let _ = self.write_out(CONTINUE, output);
        }
        Ok(end.map(|bytes| (head, bytes)))
    }

    /// Whether parsing can say more than last time. Only a line end can make a head complete or wrong, and only
    /// two lengths can make it too long; so a head that comes byte by byte is parsed once a line.
    fn is_worth_parsing(&mut self, input: &[u8]) -> bool {
        let Phase::Head { seen } = self.phase else {
            return input.len() > head::empty_line(input);
        };
        self.arrived = input.len();
        let passes = |limit: usize| seen < limit && input.len() >= limit;
        let fresh = input.get(seen..).unwrap_or_default();
        fresh.contains(&b'\n') || passes(REQUEST_LINE_BYTES_MAX + 2) || passes(HEAD_BYTES_MAX)
    }

    /// An empty line alone may be what an old client sends after a body: no request has begun.
    fn await_head(&mut self, input: &[u8], now: Instant) {
        if b"\r\n".starts_with(input) {
            return;
        }
        if self.phase == Phase::Idle {
            self.since = now;
        }
        self.arrived = input.len();
        self.phase = Phase::Head { seen: input.len() };
    }

    fn begin_body(&mut self, Facts { framing, bytes, .. }: Facts, now: Instant) -> Result<(), Refusal> {
        match framing {
            Framing::Length(length) if length > self.body_bytes_max => return Err(Refusal::BodyTooLarge),
            Framing::Length(_) => {}
            Framing::Chunked => self.chunked = Some(Box::new(ChunkedBody::new(self.body_bytes_max))),
        }
        self.phase = Phase::Body { head_bytes: bytes, framing };
        self.since = now;
        Ok(())
    }

    /// Where in the input the body ends, once it does.
    fn body_end(
        &mut self,
        input: &[u8],
        head_bytes: usize,
        framing: Framing,
    ) -> Result<Option<usize>, Refusal> {
        let body = input.get(head_bytes..).unwrap_or_default();
        self.arrived = body.len();
        let length = match (framing, &mut self.chunked) {
            (Framing::Length(length), _) => Some(length).filter(|length| body.len() >= *length),
            (Framing::Chunked, Some(chunked)) => chunked.read_on(body)?,
            (Framing::Chunked, None) => return Err(Refusal::Chunk),
        };
        Ok(length.map(|length| head_bytes + length))
    }

    fn deliver<'a>(
        &'a mut self,
        head: &Head<'a>,
        input: &'a [u8],
        bytes: usize,
        now: Instant,
    ) -> Request<'a> {
        self.phase = Phase::Answering;
        self.since = now;
        self.serial = self.serial.wrapping_add(1);
        let Head { facts, path, query, headers } = *head;
        self.method = facts.method;
        self.version = facts.version;
        self.persists = facts.persists && !self.is_dismissed;
        let body = match &self.chunked {
            Some(chunked) => chunked.body.as_slice(),
            None => &input[facts.bytes..bytes],
        };
        Request { method: facts.method, path, query, body, headers }
    }
}

impl ChunkedBody {
    fn new(body_bytes_max: usize) -> Self {
        Self { decoder: ChunkedDecoder::new(body_bytes_max), used: 0, complete: false, body: Vec::new() }
    }

    /// Decodes what is new in `coded`; the length of all of it, once it is complete.
    fn read_on(&mut self, coded: &[u8]) -> Result<Option<usize>, Refusal> {
        let progress = self.decoder.decode(coded.get(self.used..).unwrap_or_default(), &mut self.body)?;
        self.used += progress.used;
        self.complete = progress.complete;
        Ok(self.complete.then_some(self.used))
    }
}
