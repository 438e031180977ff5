//! The interface between the runtime and a substrate's sockets.
//!
//! Implementations move bytes between sockets and the connection table: smoltcp over a device (Hermit and the
//! simulator), and the kernel's sockets (Linux). They know nothing about services.
//!
//! A service hears of a network only through its own methods, and of a peer that it does not reach why:
//!
//! ```
//! use kernel_app::network::Unreachable;
//!
//! let reason = Unreachable::NameNotFound;
//! assert_eq!(reason.to_string(), "the name has no address: is it spelt right?");
//! ```

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::connections::{ConnectionId, Connections, Origin};
use crate::usage::Usage;
use wire::Instant;

/// While a peer is connected that has a name, the name is looked up again when the last answer is no longer valid. That
/// takes at least this long, however short an answer says that it is valid (0 means: for this once).
pub const NAME_VALID_MIN: Duration = Duration::from_secs(5);
/// It takes at most this long, however long an answer says that it is valid.
pub const NAME_VALID_MAX: Duration = Duration::from_secs(60);

/// Most addresses of a name that are tried, and compared to that of an open connection. smoltcp's is a feature of it.
pub const NAME_ADDRESSES_MAX: usize = 8;

/// What happened on the network since it was last polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Accepted or connected; the table has the entry.
    Opened(ConnectionId),
    /// Input arrived, input ended, or output space came free.
    Ready(ConnectionId),
    /// Closed by either side or lost; the table still has the entry, the runtime removes it.
    Closed(ConnectionId),
    /// A connection to this peer of this service could not be made.
    Unreachable {
        /// Index of the service.
        service: usize,
        /// Index of the peer in its endpoints.
        peer: usize,
        /// Why.
        reason: Unreachable,
    },
    /// The name of this peer, which is connected, has only other addresses now.
    Moved {
        /// Index of the service.
        service: usize,
        /// Index of the peer in its endpoints.
        peer: usize,
    },
}

/// Why a peer could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// The other side answered with a reset.
    Refused,
    /// No answer within the time allowed.
    TimedOut,
    /// The name has no address.
    NameNotFound,
    /// The interface has no address yet.
    NoAddress,
    /// The connection table or the socket set is full.
    NoRoom,
}

impl Unreachable {
    /// The same as [`Display`](fmt::Display) says.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "connection refused: is it running there?",
            Self::TimedOut => "no answer: is the address right?",
            Self::NameNotFound => "the name has no address: is it spelt right?",
            Self::NoAddress => "this node has no address yet",
            Self::NoRoom => "too many connections are open",
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A port that cannot be listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenError {
    /// The TCP port.
    pub port: u16,
    /// What the substrate says.
    pub reason: String,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on port {}: {}; set PORT to a free one", self.port, self.reason)
    }
}

impl core::error::Error for ListenError {}

/// A substrate's sockets.
pub trait Network {
    /// Accepts connections on `port`; they enter the table with `service` and `origin`.
    ///
    /// # Errors
    /// When the port is not available.
    fn listen(&mut self, port: u16, service: usize, origin: Origin) -> Result<(), ListenError>;

    /// Closes all ports. Connections whose handshake is done are still reported.
    fn stop_listening(&mut self);

    /// Starts connecting; the outcome is an [`Event::Opened`] or an [`Event::Unreachable`]. A name is looked up each
    /// time, and its addresses are tried in turn. [`Event::Moved`] may follow while the connection lives.
    fn connect(&mut self, host: &str, port: u16, service: usize, peer: usize, now: Instant);

    /// Receives: fills inputs and reports what happened. Never waits.
    fn poll(&mut self, now: Instant, connections: &mut Connections, events: &mut Vec<Event>);

    /// Sends: drains the outputs of touched connections and acts on asked ends. Never waits.
    fn flush(&mut self, now: Instant, connections: &mut Connections);

    /// When `poll` must be called next even if nothing arrives.
    fn next_deadline(&mut self, now: Instant) -> Option<Instant>;

    /// How much of its sockets and tables is in use; for those who check that limits hold.
    fn report_usage(&self, _report: &mut dyn FnMut(Usage)) {}

    /// Sleeps until something arrives or `deadline` passes; without one, until something arrives.
    fn wait(&mut self, now: Instant, deadline: Option<Instant>);
}
