//! One case as a client plays it: what to send next, and whether what came back is right.
//!
//! Sans-IO, so that the same client plays on kernel sockets and on a simulated wire.

use super::case::{Case, Expected, Fact, Step};
use super::response::{Response, parse};

/// Asked when a connection should still be of use: whatever is wrong with the framing shows in the answer.
const PROBE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n";
const PROBE_BODY: &[u8] = b"ok\n";
/// Longest case that is also sent in two pieces, cut at every place.
const CUT_EVERYWHERE_BYTES_MAX: usize = 96;
/// Longest case that is also sent byte by byte; longer ones are sent in pieces of a prime number of bytes.
const BYTE_BY_BYTE_BYTES_MAX: usize = 1_500;
const PIECE_BYTES: usize = 997;

/// How the bytes of a case are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Whole,
    /// In pieces of so many bytes.
    Pieces(usize),
    /// In two pieces, after so many bytes.
    At(usize),
}

/// Every way in which a case is sent.
pub fn cuts(case: &Case) -> Vec<Cut> {
    let bytes = case.bytes();
    let mut cuts = vec![Cut::Whole];
    if case.unsplit {
        return cuts;
    }
    cuts.push(Cut::Pieces(if bytes <= BYTE_BY_BYTE_BYTES_MAX { 1 } else { PIECE_BYTES }));
    if bytes <= CUT_EVERYWHERE_BYTES_MAX {
        cuts.extend((1..bytes).map(Cut::At));
    }
    cuts
}

/// How the server's side of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Fin,
    Reset,
}

/// What the client does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Send(Vec<u8>),
    /// Shuts down its side.
    End,
    Wait,
    Done,
}

/// A case under way on one connection.
pub struct Play<'a> {
    pub case: &'a Case,
    pub cut: Cut,
    step: usize,
    /// Bytes sent of the current step, and of all steps.
    sent_of_step: usize,
    sent: usize,
    has_probed: bool,
    received: Vec<u8>,
    /// How far `received` is understood.
    parsed: usize,
    responses: Vec<Response>,
    ended: Option<End>,
}

impl<'a> Play<'a> {
    pub fn new(case: &'a Case, cut: Cut) -> Self {
        let (step, sent_of_step, sent, has_probed, parsed) = (0, 0, 0, false, 0);
        let (received, responses, ended) = (Vec::new(), Vec::new(), None);
        Self { case, cut, step, sent_of_step, sent, has_probed, received, parsed, responses, ended }
    }

    /// What to do now; asked again after each piece and after everything that arrived.
    pub fn next(&mut self) -> Action {
        if self.ended.is_some() {
            return Action::Done;
        }
        while let Some(step) = self.case.steps.get(self.step) {
            match step {
                Step::Send(bytes) if self.sent_of_step < bytes.len() => return self.piece(bytes),
                Step::Send(_) => self.advance(),
                Step::End => {
                    self.advance();
                    return Action::End;
                }
                Step::Await(_) if self.responses.len() > self.awaited() => self.advance(),
                Step::Await(_) => return Action::Wait,
            }
        }
        if self.case.stays_open && !self.has_probed {
            self.has_probed = true;
            return Action::Send(PROBE.to_vec());
        }
        let is_probed = self.has_probed && self.responses.len() > self.case.expected().len();
        if is_probed { Action::Done } else { Action::Wait }
    }

    fn advance(&mut self) {
        self.step += 1;
        self.sent_of_step = 0;
    }

    /// Responses that come before the one of the current step.
    fn awaited(&self) -> usize {
        self.case.steps[..self.step].iter().filter(|step| matches!(step, Step::Await(_))).count()
    }

    fn piece(&mut self, bytes: &[u8]) -> Action {
        let rest = &bytes[self.sent_of_step..];
        let length = match self.cut {
            Cut::Whole => rest.len(),
            Cut::Pieces(length) => length.min(rest.len()),
            Cut::At(at) if self.sent < at => (at - self.sent).min(rest.len()),
            Cut::At(_) => rest.len(),
        };
        self.sent += length;
        self.sent_of_step += length;
        Action::Send(rest[..length].to_vec())
    }

    /// Bytes have come.
    pub fn received(&mut self, bytes: &[u8]) {
        self.received.extend(bytes);
        loop {
            let expected = self.case.expected().get(self.responses.len()).is_some_and(|next| next.bodiless);
            let Some((response, length)) = parse(&self.received[self.parsed..], expected) else { return };
            self.parsed += length;
            self.responses.push(response);
        }
    }

    /// The server has ended its side.
    pub fn ended(&mut self, how: End) {
        self.ended.get_or_insert(how);
    }

    /// All that came, without what differs between any two answers.
    pub fn transcript(&self) -> String {
        let mut text = String::new();
        for line in self.received.escape_ascii().to_string().split_inclusive("\\n") {
            let shown = ["Date: ", "Set-Cookie: "].iter().find(|name| line.starts_with(**name));
            text += shown.map_or(line, |name| name);
        }
        format!("{text} {:?}", self.ended)
    }

    /// What is wrong, if anything is.
    pub fn verdict(&self) -> Result<(), String> {
        let expected = self.case.expected();
        let probes = usize::from(self.case.stays_open);
        let found: Vec<u16> = self.responses.iter().map(|response| response.status).collect();
        let mut wanted: Vec<u16> = expected.iter().map(|response| response.status).collect();
        wanted.extend(vec![200; probes]);
        if found != wanted {
            return Err(format!("answers {found:?} instead of {wanted:?}"));
        }
        for (index, (response, expected)) in self.responses.iter().zip(&expected).enumerate() {
            let is_last = index + 1 == expected_finals(&wanted, probes);
            check(response, expected).and_then(|()| self.check_connection(response, is_last))?;
        }
        if let Some(probe) = self.responses.get(expected.len())
            && probe.body != PROBE_BODY
        {
            return Err("the request after the case was not understood".to_owned());
        }
        if self.parsed < self.received.len() {
            return Err(format!("then came {:?}", self.received[self.parsed..].escape_ascii().to_string()));
        }
        match (self.case.stays_open, self.ended) {
            (true, None) | (false, Some(End::Fin)) => Ok(()),
            (stays_open, ended) => Err(format!("stays open: {stays_open}, but its end is {ended:?}")),
        }
    }

    /// `Connection: close` stands in the last answer of a connection that the server ends, and in no other.
    fn check_connection(&self, response: &Response, is_last: bool) -> Result<(), String> {
        let closes = response.header("Connection") == Some("close");
        let must = !self.case.stays_open && is_last;
        // Who has ended its own side may or may not be told.
        if closes == must || (must && self.case.ends()) {
            return Ok(());
        }
        Err(format!("Connection: close in a {} that is the last: {must}", response.status))
    }
}

fn expected_finals(wanted: &[u16], probes: usize) -> usize {
    wanted.len() - probes
}

fn check(response: &Response, expected: &Expected) -> Result<(), String> {
    let body = String::from_utf8_lossy(&response.body);
    for fact in &expected.facts {
        let holds = match fact {
            Fact::Header(name, value) => response.header(name) == Some(value),
            Fact::NoHeader(name) => response.header(name).is_none(),
            Fact::Body(part) => body.contains(part.as_str()),
        };
        if !holds {
            return Err(format!("{fact:?} does not hold for {:?} {body:?}", response.headers));
        }
    }
    let is_final = response.status >= 200;
    if is_final && response.header("Date").is_none_or(|date| !date.ends_with(" GMT")) {
        return Err(format!("no Date in {:?}", response.headers));
    }
    Ok(())
}
