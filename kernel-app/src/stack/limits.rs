//! The limits and times of the stack, and the sizes of its packets and buffers.

use core::time::Duration;

/// Connections that can be accepted at any time: when there is room for fewer, others are ended.
pub const ROOM_WANTED: usize = 16;
/// Most sockets of a node: opening, open and closing together. Fewer in a small machine.
pub const SOCKETS_MAX: usize = 1024;
/// As many in the smallest machine.
pub const SOCKETS_MIN: usize = 64;
/// The part of the heap that sockets may take.
pub(super) const SOCKETS_HEAP_DIVISOR: usize = 2;
/// Those of them that are left to connections that the node opens itself.
pub const DIAL_SOCKETS: usize = 8;
/// Sockets that are not of TCP: DHCP and DNS.
pub(super) const OTHER_SOCKETS: usize = 2;
/// Free sockets that are kept for the next burst.
pub const SPARE_SOCKETS_KEPT: usize = 32;
/// How often free sockets beyond that are given back, if nobody has needed them in between.
pub const TRIM_INTERVAL: Duration = Duration::from_secs(5);
/// Receive window of a socket.
pub const RECEIVE_BYTES: usize = 4 * 1024;
/// Unacknowledged and unsent bytes that a socket holds.
pub const SEND_BYTES: usize = 8 * 1024;
/// What a socket takes of the heap.
pub(super) const SOCKET_BYTES: usize = RECEIVE_BYTES + SEND_BYTES + 1024;
/// Ethernet's header (IEEE 802.3, without tags).
pub const ETHERNET_BYTES: usize = 14;
/// What the headers of a segment take, IPv4's and TCP's without options.
pub(super) const HEADERS_BYTES: usize = 40;
/// Payload of a full segment on Ethernet.
pub(super) const SEGMENT_BYTES: usize = 1460;
/// The same for a peer that says nothing of it (RFC 9293 section 3.7.1).
pub(super) const SEGMENT_BYTES_UNSAID: usize = 536;
/// However little the other side says that it takes in a segment, smoltcp sends so much.
pub(super) const SEGMENT_BYTES_LEAST: usize = 48;
/// The address of a node that has none yet.
pub(super) const NO_ADDRESS: core::net::Ipv4Addr = core::net::Ipv4Addr::UNSPECIFIED;
/// Packets that are read before services get their turn.
pub const PACKETS_PER_TURN_MAX: usize = 256;
/// Segments of one socket that are sent in one turn.
pub const EGRESS_ROUNDS_MAX: usize = 16;
/// How long after a packet the sockets are asked for their next timer. Asking all of them costs as much as a request,
/// and none can be due sooner: smoltcp sends again after 1 s, and what waits for less here is this long or longer.
pub const TIMERS_ASKED_AFTER: Duration = Duration::from_millis(500);
/// How long at least a device is left alone that takes no frames, whatever is due.
pub const NO_ROOM_PAUSE: Duration = Duration::from_millis(10);
/// How long the other side may take to end its own stream once it has all of ours.
pub const LINGER: Duration = Duration::from_secs(2);
/// How long a connection whose service has ended it may take until the other side has all of it: a last segment that
/// is lost is sent again after 1, 3, 7 and 15 s.
pub const CLOSING_MAX: Duration = Duration::from_secs(30);
/// How long an end takes that meets no trouble; so long, others who want the socket wait for it.
pub(super) const LEAVING_MAX: Duration = Duration::from_millis(250);
/// SYNs that wait for room, of each socket that there may be.
pub(super) const SYN_QUEUE_PER_SOCKET: usize = 2;
/// Handshakes that are remembered though they had to make room, of each socket that there may be.
pub(super) const SYN_CACHE_PER_SOCKET: usize = 2;
/// How often it is asked whether somebody may make room for those who wait.
pub(super) const ROOM_RETRY: Duration = Duration::from_millis(50);
/// How long a handshake may take (RFC 4987).
pub const HALF_OPEN_MAX: Duration = Duration::from_secs(5);
/// The part of the sockets that unfinished handshakes may take before others stop making room for them.
pub const HALF_OPEN_DIVISOR: usize = 4;
/// How long it may take, at least, when others want its place.
pub const HALF_OPEN_FRESH: Duration = Duration::from_millis(250);
/// How long the other side of an open connection may be silent, probes and all, before it counts as lost.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often an accepted connection is probed that is otherwise silent. smoltcp counts a connection as lost
/// that has been silent for [`RESPONSE_TIMEOUT`], whether or not it owes anything.
pub const IDLE_KEEP_ALIVE: Duration = Duration::from_secs(20);
/// How often an otherwise silent connection to a peer is probed.
pub const PEER_KEEP_ALIVE: Duration = Duration::from_secs(10);
