//! The outgoing connections that are being opened, and the progress of each.
//!
//! `dial` makes the progress.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use smoltcp::socket::dns::QueryHandle;

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
}

#[derive(Clone, Copy)]
pub(super) enum DialState {
    Start,
    Resolving(Query),
    Connecting(usize),
}

impl Dial {
    pub fn next_look(&self) -> Instant {
        match self.state {
            DialState::Resolving(query) => query.until.min(self.deadline),
            _ => self.deadline,
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
        self.dials.push(Dial { host, port, service, peer, deadline, state: DialState::Start });
    }

    pub fn earliest_deadline(&self) -> Option<Instant> {
        self.dials.iter().map(Dial::next_look).min()
    }
}
