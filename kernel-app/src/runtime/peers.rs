//! Outgoing connections that a node always wants: when to dial each one, and what the log says about it.
//!
//! This module moves no bytes and opens no sockets: the runtime asks which dial is due, and reports its outcome.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::network::Unreachable;
use crate::service::{Context, Peer};
use wire::Entropy;
use wire::Instant;

/// Longest wait before the first attempt after a failure; half to all of it, by chance.
pub const BACKOFF_MIN_MS: u64 = 50;
/// Longest wait between attempts; they double up to it.
pub const BACKOFF_MAX_MS: u64 = 2_000;
/// A connection that lived this long was a good one: the next failure waits from the least again.
pub const GOOD_AFTER: Duration = Duration::from_secs(2);

/// Where a peer is.
#[derive(Debug)]
pub(super) enum Goal {
    /// On the network.
    Host {
        /// Address or name.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// In this image.
    Memory {
        /// Index of the service.
        service: usize,
        /// Index of its listener.
        listener: usize,
    },
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } => write!(f, "{host}:{port}"),
            Self::Memory { .. } => f.write_str("memory"),
        }
    }
}

/// All peers of a node.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: Vec<PeerState>,
}

#[derive(Debug)]
struct PeerState {
    service: usize,
    peer: usize,
    /// The service's name, the setting that names the peer, and what the peer is to the service.
    names: [&'static str; 3],
    goal: Goal,
    state: DialState,
    /// Failures in a row.
    failures: u32,
    logged: Logged,
}

#[derive(Debug)]
enum DialState {
    DueAt(Instant),
    Dialling,
    UpSince(Instant),
}

/// What the log said last, so that it says each change once. A connection that is lost as soon as it is made,
/// again and again, is lost all the time.
#[derive(Debug, PartialEq, Eq)]
enum Logged {
    Nothing,
    Reachable,
    Lost,
    Unreachable(Unreachable),
}

impl Peers {
    /// Adds a peer, by the indices of its service and of itself there, that is due at once.
    pub fn add(&mut self, (service, index): (usize, usize), name: &'static str, peer: &Peer, goal: Goal) {
        self.peers.push(PeerState {
            service,
            peer: index,
            names: [name, peer.setting, peer.name],
            goal,
            state: DialState::DueAt(Instant::ZERO),
            failures: 0,
            logged: Logged::Nothing,
        });
    }

    /// A peer that must be dialled now: its service, its index there, and where it is.
    pub fn take_due(&mut self, now: Instant) -> Option<(usize, usize, &Goal)> {
        let is_due = |peer: &&mut PeerState| matches!(peer.state, DialState::DueAt(at) if at <= now);
        let peer = self.peers.iter_mut().find(is_due)?;
        peer.state = DialState::Dialling;
        Some((peer.service, peer.peer, &peer.goal))
    }

    /// When the next attempt is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = |peer: &PeerState| if let DialState::DueAt(at) = peer.state { Some(at) } else { None };
        self.peers.iter().filter_map(due).min()
    }

    /// A connection was made.
    pub fn reached(&mut self, service: usize, peer: usize, now: Instant) {
        let Some(peer) = self.find(service, peer) else { return };
        peer.state = DialState::UpSince(now);
        if matches!(peer.logged, Logged::Nothing | Logged::Unreachable(_)) {
            peer.logged = Logged::Reachable;
            let [service, setting, name] = peer.names;
            log::info!("{service}: {setting}: {name} at {} is reachable", peer.goal);
        }
    }

    /// A connection that was made is gone.
    pub fn lost(&mut self, service: usize, peer: usize, context: &mut Context<'_>) {
        let Some(peer) = self.find(service, peer) else { return };
        let was_good = matches!(peer.state, DialState::UpSince(since) if context.now - since >= GOOD_AFTER);
        if was_good {
            peer.failures = 0;
        }
        if was_good || peer.logged != Logged::Lost {
            peer.logged = Logged::Lost;
            let [service, setting, name] = peer.names;
            log::warn!(
                "{service}: {setting}: the connection to {name} at {} is lost; dialling again",
                peer.goal
            );
        }
        peer.back_off(context.now, context.entropy);
    }

    /// A connection could not be made.
    pub fn failed(&mut self, service: usize, peer: usize, reason: Unreachable, context: &mut Context<'_>) {
        let Some(peer) = self.find(service, peer) else { return };
        if peer.logged != Logged::Unreachable(reason) {
            peer.log_failure(reason);
        }
        peer.back_off(context.now, context.entropy);
    }

    fn find(&mut self, service: usize, peer: usize) -> Option<&mut PeerState> {
        self.peers.iter_mut().find(|state| state.service == service && state.peer == peer)
    }
}

impl PeerState {
    fn back_off(&mut self, now: Instant, entropy: &mut dyn Entropy) {
        let longest = BACKOFF_MAX_MS.min(BACKOFF_MIN_MS << self.failures.min(10));
        let delay_ms = longest / 2 + entropy.next_u64() % (longest / 2 + 1);
        self.failures = self.failures.saturating_add(1);
        self.state = DialState::DueAt(now + Duration::from_millis(delay_ms));
    }

    fn log_failure(&mut self, reason: Unreachable) {
        // Every node starts before it has an address: that is no news.
        if reason == Unreachable::NoAddress && self.logged == Logged::Nothing {
            return;
        }
        self.logged = Logged::Unreachable(reason);
        let [service, setting, name] = self.names;
        log::warn!("{service}: {setting}: {name} at {} is unreachable: {reason}; trying again", self.goal);
    }
}
