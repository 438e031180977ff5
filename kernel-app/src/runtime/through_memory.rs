//! Connections between two services of one image: bytes move through memory, with the semantics of TCP.
//!
//! Each end is an entry in the connection table, so services see no difference to a network. The limits are those of
//! the table: data that does not fit into the other end's input waits in the output.

use core::time::Duration;

use super::Node;
use super::pipes::Pipe;
use crate::connections::{ConnectionId, Ending, OUTPUT_LOW_WATER_BYTES};
use crate::network::Unreachable;
use crate::service::{Context, Origin};

/// How long an end that saw the other's close may take to close too.
pub const DRAIN_MAX: Duration = Duration::from_secs(1);

impl Node {
    /// Connects a service to a listener of another one: the client's end, then the server's.
    pub(super) fn join(&mut self, ends: [(usize, Origin); 2], context: &mut Context<'_>) {
        let [(client, Origin::Peer(peer)), (server, origin)] = ends else { return };
        let table = &mut *context.connections;
        let near = table.open(client, Origin::Peer(peer));
        let far = table.open(server, origin);
        let (Some(near), Some(far)) = (near, far) else {
            near.and_then(|id| table.remove(id));
            return self.peers.failed(client, peer, Unreachable::NoRoom, context);
        };
        table.keep(far);
        self.pipes.pipes.push(Pipe { ends: [near, far], drain_until: None });
        self.opened(far, context);
        self.opened(near, context);
    }

    /// Moves what waits in each pipe, once in each direction, and ends those that both sides closed.
    /// Says whether anything happened.
    pub(super) fn move_through_memory(&mut self, context: &mut Context<'_>) -> bool {
        let mut moved = false;
        let mut index = 0;
        while let Some(Pipe { ends: [near, far], .. }) = self.pipes.pipes.get(index).copied() {
            moved |= self.carry(near, far, context);
            moved |= self.carry(far, near, context);
            if self.has_ended(index, context) {
                self.pipes.pipes.swap_remove(index);
                self.closed(near, context);
                self.closed(far, context);
                moved = true;
            } else {
                index += 1;
            }
        }
        moved
    }

    /// Moves one end's output to the other's input and tells both what they wait for.
    fn carry(&mut self, from: ConnectionId, to: ConnectionId, context: &mut Context<'_>) -> bool {
        let Some(Transfer { arrived, space_came_free }) = transfer(from, to, context) else { return false };
        if arrived {
            self.ready(to, context);
        }
        if space_came_free {
            self.ready(from, context);
        }
        true
    }

    /// Whether a pipe is over: both sides closed, one aborted, or one closed and the other would not.
    fn has_ended(&mut self, index: usize, context: &Context<'_>) -> bool {
        let pipe = &mut self.pipes.pipes[index];
        let [Some(near), Some(far)] = pipe.ends.map(|id| context.connections.get(id)) else { return true };
        match (near.ending(), far.ending()) {
            (Ending::Abort, _) | (_, Ending::Abort) | (Ending::Graceful, Ending::Graceful) => true,
            _ if near.input_ended || far.input_ended => {
                *pipe.drain_until.get_or_insert(context.now + DRAIN_MAX) <= context.now
            }
            _ => false,
        }
    }
}

/// What a transfer means to the two ends.
struct Transfer {
    arrived: bool,
    space_came_free: bool,
}

/// Moves as much as fits; `None` when there was nothing to do.
fn transfer(from: ConnectionId, to: ConnectionId, context: &mut Context<'_>) -> Option<Transfer> {
    let source = context.connections.get(from)?;
    let target = context.connections.get(to)?;
    let closes = source.ending() == Ending::Graceful && !target.input_ended;
    let before = source.output.len();
    if source.ending() == Ending::Abort || (!closes && (before == 0 || target.input.space() == 0)) {
        return None;
    }
    let listens = target.ending() == Ending::Open;
    let mut output = core::mem::take(&mut context.connections.get_mut(from)?.output);
    let target = context.connections.get_mut(to)?;
    // An end that closed reads no more: as on the wire, what still comes is dropped.
    let moved = if listens { target.input.write_some(output.as_slice()) } else { before };
    output.consume(moved);
    target.input_ended |= closes && output.is_empty();
    let ended = target.input_ended && closes;
    let source = context.connections.get_mut(from)?;
    let drained = before > OUTPUT_LOW_WATER_BYTES && output.len() <= OUTPUT_LOW_WATER_BYTES;
    source.output = output;
    let space_came_free = drained && source.ending() == Ending::Open;
    (moved > 0 || ended).then_some(Transfer { arrived: listens && (moved > 0 || ended), space_came_free })
}
