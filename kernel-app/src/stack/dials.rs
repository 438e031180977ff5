//! The outgoing connections that are being opened, the progress of each, and the names of those that are open.
//!
//! `dial` makes the progress.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use smoltcp::socket::dns::QueryHandle;

use super::answer;
use crate::network::NAME_VALID_MAX;
use wire::Instant;

/// How long resolving and connecting may take together: operators are to hear of a server that does not answer
/// within 2 s. A SYN that is lost is sent again after 1 s.
pub const DIAL_TIMEOUT: Duration = Duration::from_millis(1_800);

/// The dials under way.
#[derive(Default)]
pub(super) struct Dials {
    pub dials: Vec<Dial>,
}

pub(super) struct Dial {
    pub host: String,
    pub port: u16,
    pub service: usize,
    pub peer: usize,
    pub deadline: Instant,
    pub state: DialState,
    /// Addresses of the name that are still to be tried, the next one last.
    pub addresses: Vec<Ipv4Addr>,
    /// The address of the open connection, whose name is looked up again when it is time.
    pub reached: Option<Ipv4Addr>,
    /// How long the last answer about the name is valid.
    pub valid_for: Duration,
}

#[derive(Clone, Copy)]
pub(super) enum DialState {
    Start,
    Resolving(Query),
    /// With this member of the pool; as long as other addresses are left, until then.
    Connecting(usize, Instant),
    /// It is open, and its name's addresses are valid until then.
    Valid(Instant),
}

impl Dial {
    pub fn next_look(&self) -> Instant {
        match self.state {
            DialState::Resolving(query) => query.until.min(self.deadline),
            DialState::Connecting(_, until) => until.min(self.deadline),
            DialState::Valid(until) => until,
            DialState::Start => self.deadline,
        }
    }
}

/// A question to a name server.
#[derive(Clone, Copy)]
pub(super) struct Query {
    pub handle: QueryHandle,
    pub server: Option<Ipv4Addr>,
    /// The server has until then.
    pub until: Instant,
    /// So many others have not been asked.
    pub others: usize,
}

impl Dials {
    pub fn start(&mut self, host: &str, port: u16, service: usize, peer: usize, now: Instant) {
        let (host, deadline) = (host.to_string(), now + DIAL_TIMEOUT);
        let (addresses, reached, valid_for) = (Vec::new(), None, NAME_VALID_MAX);
        let state = DialState::Start;
        self.dials.push(Dial { host, port, service, peer, deadline, state, addresses, reached, valid_for });
    }

    /// The place of the open connection to this peer, if that was found by its name.
    pub fn reached(&self, service: usize, peer: usize) -> Option<usize> {
        let is_it = |dial: &Dial| dial.reached.is_some() && (dial.service, dial.peer) == (service, peer);
        self.dials.iter().position(is_it)
    }

    /// A frame came that may be a name server's answer. smoltcp reads the addresses, but not how long they are valid.
    pub fn note_answer(&mut self, frame: &[u8]) {
        for dial in self.dials.iter_mut().filter(|dial| matches!(dial.state, DialState::Resolving(_))) {
            dial.valid_for = answer::valid_for(frame, &dial.host).unwrap_or(dial.valid_for);
        }
    }

    pub fn earliest_deadline(&self) -> Option<Instant> {
        self.dials.iter().map(Dial::next_look).min()
    }
}
