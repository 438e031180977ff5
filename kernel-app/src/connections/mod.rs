//! The table of a node's connections, with bounded input and output bytes for each.
//!
//! The table holds no sockets. The network fills inputs and drains outputs; services do the opposite. Ids contain a
//! generation, so the id of a closed connection never finds the next connection in the same slot.

mod eviction;
mod memory;
mod origin;

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::shutdown::{Shutdown, ShutdownPhase, StopToken};
pub use eviction::{FRESH_MAX, REQUEST_GRACE};
pub use memory::HeapUsage;
use memory::Memory;
pub use origin::Origin;
use wire::{Buffer, Instant};

/// Most bytes that wait for a service on one connection; more stay in the socket.
pub const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Most bytes that wait for the network on one connection.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// A service hears `ready` when an output that was above this has drained to it or below. So it never
/// waits in vain for space, as long as one write needs at most the space above this mark.
pub const OUTPUT_LOW_WATER_BYTES: usize = 32 * 1024;
/// Storage that each buffer of a connection keeps for the next one in its place.
pub const BUFFER_BYTES_KEPT: usize = 2 * 1024;
/// Most connections of a node, of all its services together.
pub const CONNECTIONS_MAX: usize = 1024;

/// Names one connection of a node for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    index: u16,
    generation: u32,
}

impl ConnectionId {
    /// Position in the table, below [`CONNECTIONS_MAX`]; reused after the connection's end.
    pub fn index(self) -> usize {
        usize::from(self.index)
    }
}

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Not asked for.
    Open,
    /// Asked for: send the output and FIN, drain briefly, then close.
    Graceful,
    /// Asked for: reset at once.
    Abort,
}

/// One connection as both sides see it.
#[derive(Debug)]
pub struct Connection {
    /// Index of the service that owns it.
    pub service: usize,
    /// How it came to be.
    pub origin: Origin,
    /// Where the other side is, as far as the network says; none for ends of memory pipes.
    pub peer_address: Option<IpAddr>,
    /// Bytes received and not yet consumed by the service.
    pub input: Buffer,
    /// Bytes that wait to be sent.
    pub output: Buffer,
    /// The other side has ended its stream: no more input will come.
    pub input_ended: bool,
    /// The other side has ended its stream, as far as the network knows: behind input that may still be to come, and
    /// also when the connection is lost and this is the last turn in which the table has it.
    pub peer_ended: bool,
    /// The other side was found by its name, which has other addresses now.
    pub peer_has_moved: bool,
    /// Something that was asked on it has been answered.
    pub has_answered: bool,
    /// Whether a node that stops waits for its end before it says that it has drained: not while it waits for that
    /// itself, or once it was ended because nothing was under way on it.
    pub holds_drain: bool,
    ending: Ending,
    activity: Activity,
    /// Whether it stays when memory is short, whatever it holds.
    kept: bool,
}

/// What is under way on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    /// A request: the connection stays.
    Busy,
    /// Nothing since then.
    Idle(Instant),
    /// An answer without end, since then.
    Streaming(Instant),
}

impl Connection {
    /// Whether and how the service has asked for the end.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Whether the other side has ended the connection, or its half of it: nobody may be waiting any more.
    pub fn has_peer_ended(&self) -> bool {
        self.peer_ended || self.input_ended
    }

    /// Whether somebody outside has opened it.
    pub fn is_client(&self) -> bool {
        !self.kept
    }
}

/// The table itself.
///
/// The network fills inputs and drains outputs; a service reads inputs and fills outputs. An id outlives its
/// connection, and then finds nothing:
///
/// ```
/// use kernel_app::{Connections, Origin};
///
/// let mut connections = Connections::new();
/// let id = connections.open(0, Origin::Accepted(0)).expect("the table has room");
/// let connection = connections.get_mut(id).expect("it is open");
/// connection.input.write(b"GET / HTTP/1.1")?;
/// connection.output.write(b"HTTP/1.1 200 OK")?;
/// assert_eq!(connection.input.as_slice(), b"GET / HTTP/1.1");
///
/// connections.close(id);
/// connections.remove(id);
/// assert!(connections.get(id).is_none() && connections.is_empty());
/// # Ok::<(), wire::buffer::Full>(())
/// ```
#[derive(Debug, Default)]
pub struct Connections {
    slots: Vec<Slot>,
    free: Vec<u16>,
    live: usize,
    touched: Vec<ConnectionId>,
    memory: Memory,
    /// When this turn began.
    now: Instant,
    /// What services have been told of the node's end.
    shutdown_phase: ShutdownPhase,
    /// How far that has come.
    pub(crate) shutdown: Shutdown,
    /// Who may order it by a request.
    pub(crate) stop_token: StopToken,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    touched: bool,
    connection: Option<Connection>,
    /// Buffers of the last connection, kept so that a warm table allocates nothing.
    spare: Option<(Buffer, Buffer)>,
}

impl Connections {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many connections are open.
    pub fn len(&self) -> usize {
        self.live
    }

    /// How many connections there is room for without more memory. Tables beside this one take theirs for as many,
    /// since they could not later.
    pub fn places(&self) -> usize {
        self.slots.capacity()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// How far the node is from its end.
    pub fn shutdown_phase(&self) -> ShutdownPhase {
        self.shutdown_phase
    }

    /// Tells services how far the node is from its end.
    pub fn set_shutdown_phase(&mut self, shutdown_phase: ShutdownPhase) {
        self.shutdown_phase = shutdown_phase;
    }

    /// Whether somebody outside is still connected: peers and ends of memory pipes do not count.
    pub fn has_clients(&self) -> bool {
        self.slots.iter().filter_map(|slot| slot.connection.as_ref()).any(Connection::is_client)
    }

    /// Whether something may be under way for somebody outside.
    pub fn holds_drain(&self) -> bool {
        self.iter().any(|(_, connection)| connection.is_client() && connection.holds_drain)
    }

    /// Adds a connection; none when [`CONNECTIONS_MAX`] are open.
    pub fn open(&mut self, service: usize, origin: Origin) -> Option<ConnectionId> {
        let index = self.free.pop().or_else(|| self.grow())?;
        let slot = &mut self.slots[usize::from(index)];
        let (input, output) =
            slot.spare.take().unwrap_or((Buffer::new(INPUT_BYTES_MAX), Buffer::new(OUTPUT_BYTES_MAX)));
        slot.connection = Some(Connection {
            service,
            origin,
            peer_address: None,
            input,
            output,
            input_ended: false,
            peer_ended: false,
            peer_has_moved: false,
            has_answered: false,
            holds_drain: true,
            ending: Ending::Open,
            activity: Activity::Busy,
            kept: matches!(origin, Origin::Peer(_)),
        });
        self.live += 1;
        Some(ConnectionId { index, generation: slot.generation })
    }

    /// Removes a connection; its id is dead from here on.
    pub fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let slot = self.slot_mut(id)?;
        let mut connection = slot.connection.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.touched = false;
        let mut input = core::mem::take(&mut connection.input);
        let mut output = core::mem::take(&mut connection.output);
        recycle(&mut input, INPUT_BYTES_MAX);
        recycle(&mut output, OUTPUT_BYTES_MAX);
        slot.spare = Some((input, output));
        self.free.push(id.index);
        self.live -= 1;
        Some(connection)
    }

    /// The connection, while it lives.
    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        let slot = self.slots.get(id.index())?;
        (slot.generation == id.generation).then_some(slot.connection.as_ref())?
    }

    /// The connection for writing; the network looks at it at the end of the turn.
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(id.index())?;
        if slot.generation != id.generation {
            return None;
        }
        let connection = slot.connection.as_mut()?;
        if !slot.touched {
            slot.touched = true;
            self.touched.push(id);
        }
        Some(connection)
    }

    /// The connection for the network's own bookkeeping: not marked as touched.
    pub fn get_untouched(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.slot_mut(id)?.connection.as_mut()
    }

    /// The connection to a peer of a service, by their indices, while it lives.
    pub fn to_peer(&self, service: usize, peer: usize) -> Option<ConnectionId> {
        let is_it = |it: &Connection| it.service == service && it.origin == Origin::Peer(peer);
        let index = self.slots.iter().position(|slot| slot.connection.as_ref().is_some_and(is_it))?;
        let generation = self.slots[index].generation;
        u16::try_from(index).ok().map(|index| ConnectionId { index, generation })
    }

    /// Asks for the end once all output is sent: FIN, a brief drain, then close.
    pub fn close(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get_mut(id)
            && connection.ending == Ending::Open
        {
            connection.ending = Ending::Graceful;
        }
    }

    /// Asks for a reset at once; output that was not sent is lost.
    pub fn abort(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get_mut(id) {
            connection.ending = Ending::Abort;
        }
    }

    /// Says that nothing is under way on a connection since `idle_since`, or, with `None`, that
    /// something is. See [`Connections::make_room`].
    pub fn set_idle(&mut self, id: ConnectionId, idle_since: Option<Instant>) {
        self.set_activity(id, idle_since.map_or(Activity::Busy, Activity::Idle));
    }

    /// Says that an answer without end is under way, which the client can ask for again.
    pub fn set_streaming(&mut self, id: ConnectionId, since: Instant) {
        self.set_activity(id, Activity::Streaming(since));
    }

    fn set_activity(&mut self, id: ConnectionId, activity: Activity) {
        if let Some(connection) = self.slot_mut(id).and_then(|slot| slot.connection.as_mut()) {
            connection.activity = activity;
        }
    }

    /// Takes one of the connections that were written, consumed or ended since it was last taken.
    pub fn take_touched(&mut self) -> Option<ConnectionId> {
        while let Some(id) = self.touched.pop() {
            if let Some(slot) = self.slot_mut(id) {
                slot.touched = false;
                return Some(id);
            }
        }
        None
    }

    fn grow(&mut self) -> Option<u16> {
        let index = self.slots.len();
        if index >= CONNECTIONS_MAX {
            return None;
        }
        self.slots.push(Slot::default());
        u16::try_from(index).ok()
    }

    fn slot_mut(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.index())?;
        (slot.generation == id.generation && slot.connection.is_some()).then_some(slot)
    }
}

/// Makes a buffer ready for the next connection.
fn recycle(buffer: &mut Buffer, limit: usize) {
    buffer.clear();
    buffer.shrink_to(BUFFER_BYTES_KEPT);
    buffer.set_limit(limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_never_finds_the_next_connection_in_its_slot() {
        let mut table = Connections::new();
        let first = table.open(0, Origin::Accepted(0)).expect("room");
        table.get_mut(first).expect("live").output.write(b"x").expect("fits");
        assert!(table.remove(first).is_some());
        let second = table.open(0, Origin::Accepted(0)).expect("room");
        assert_eq!(first.index(), second.index());
        assert!(table.get(first).is_none());
        assert!(table.remove(first).is_none());
        assert!(table.get(second).expect("live").output.is_empty());
        assert_eq!(table.take_touched(), None, "a touch of the dead one says nothing of the next");
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = Connections::new();
        let ids: Vec<_> = core::iter::from_fn(|| table.open(0, Origin::Accepted(0))).collect();
        assert_eq!(ids.len(), CONNECTIONS_MAX);
    }
}
