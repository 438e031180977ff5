//! The choice of the connection that ends when places or memory run out.
//!
//! This module only marks connections. The network then ends them, as if a service had asked for it.

use core::time::Duration;

use super::memory::HeapUsage;
use super::{Activity, BUFFER_BYTES_KEPT, Connection, ConnectionId, Connections, Ending};
use wire::{Buffer, Instant};

/// A connection that has been idle for less than this may have its next request on the way, and stays.
pub const FRESH_MAX: Duration = Duration::from_millis(250);
/// How long a connection stays, whoever waits for its place, that has yet to say a whole request. It may have been
/// made by one of thousands at once, whose request was lost on the way and is sent again.
pub const REQUEST_GRACE: Duration = Duration::from_secs(2);
/// A connection that holds no more than this is not worth its end.
const HOARD_BYTES_MIN: usize = 2 * BUFFER_BYTES_KEPT;
/// What a connection may hold in each direction when memory is short and nobody's end has helped.
const MODEST_BYTES_MAX: usize = 4 * 1024;
/// How often the log tells of ends for want of memory.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

impl Connections {
    /// Notes the time.
    pub fn begin_turn(&mut self, now: Instant) {
        self.now = now;
    }

    /// Ends the connection that is missed least, so that another can have its place: the one that has been answered
    /// and idle for longest, or else one whose request has not come in time, or else the oldest stream. Those stay
    /// whose request is under way or may still be: who waits for their place waits. Says whether there was one to end.
    pub fn make_room(&mut self) -> bool {
        let Some(id) = self.least_missed() else { return false };
        if self.get(id).is_some_and(Connection::is_between_requests) {
            self.close(id);
        } else {
            self.abort(id);
        }
        true
    }

    /// See [`Connections::make_room`].
    fn least_missed(&self) -> Option<ConnectionId> {
        let candidate = |(id, connection): (ConnectionId, &Connection)| {
            let (rank, since, stays) = match connection.activity {
                Activity::Busy => return None,
                Activity::Idle(since) if connection.is_between_requests() => (0, since, FRESH_MAX),
                Activity::Idle(since) => (1, since, REQUEST_GRACE),
                Activity::Streaming(since) => (2, since, Duration::ZERO),
            };
            let may_go = connection.ending == Ending::Open && self.now.since(since) >= stays;
            may_go.then_some((rank, since, id))
        };
        self.iter().filter_map(candidate).min().map(|(_, _, id)| id)
    }

    /// Bounds the buffers by what there is: while `is_short` says so, those that hold the most go.
    /// Without this, by their limits alone.
    ///
    /// The table itself takes its memory for `connections` now, as it could not later.
    pub fn watch_memory(&mut self, connections: usize, is_short: fn() -> bool, usage: fn() -> HeapUsage) {
        self.slots.reserve_exact(connections.saturating_sub(self.slots.len()));
        self.memory.is_short = is_short;
        self.memory.usage = Some(usage);
    }

    /// How much memory is in use, on a node with a heap of its own.
    pub fn heap_usage(&self) -> Option<HeapUsage> {
        self.memory.usage.map(|usage| usage())
    }

    /// Lets a connection stay when memory is short.
    pub fn keep(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get_untouched(id) {
            connection.kept = true;
        }
    }

    /// Whether nothing more should be taken on.
    pub fn is_memory_short(&self) -> bool {
        (self.memory.is_short)()
    }

    /// Who says whether memory is short.
    pub fn memory_watch(&self) -> fn() -> bool {
        self.memory.is_short
    }

    /// While memory is short: ends a connection that is to hold so many bytes in one direction, if that
    /// is more than modest and ending larger ones does not help. Says whether the connection stays.
    pub fn allow(&mut self, id: ConnectionId, bytes: usize) -> bool {
        if bytes <= MODEST_BYTES_MAX || !self.is_memory_short() {
            return true;
        }
        self.end_hoards();
        if self.is_memory_short() && self.get(id).is_some_and(|connection| !connection.kept) {
            self.dispossess(id);
        }
        self.get(id).is_some_and(|connection| connection.ending != Ending::Abort)
    }

    /// While memory is short, ends those connections that hold the most of it. Peers stay.
    pub fn relieve_memory(&mut self) {
        if self.is_memory_short() {
            self.end_hoards();
        }
    }

    #[cold]
    #[inline(never)]
    fn end_hoards(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.spare = None);
        while self.is_memory_short() {
            let Some((bytes, id)) = self.largest_hoard() else { return };
            self.dispossess(id);
            if self.now >= self.memory.log_at {
                self.memory.log_at = self.now + LOG_INTERVAL;
                log::warn!(
                    "memory is short: a connection that held {bytes} bytes is reset, and others may be"
                );
            }
        }
    }

    fn largest_hoard(&self) -> Option<(usize, ConnectionId)> {
        let hoard = |(id, connection): (ConnectionId, &Connection)| {
            let may_go = !connection.kept && connection.ending != Ending::Abort;
            may_go.then(|| (connection.storage_bytes(), id))
        };
        self.iter()
            .filter_map(hoard)
            .max_by_key(|(bytes, _)| *bytes)
            .filter(|(bytes, _)| *bytes > HOARD_BYTES_MIN)
    }

    /// Ends a connection and frees what it holds at once, rather than when the network has seen to it.
    fn dispossess(&mut self, id: ConnectionId) {
        if let Some(connection) = self.get_mut(id) {
            connection.ending = Ending::Abort;
            connection.input = Buffer::new(0);
            connection.output = Buffer::new(0);
        }
    }

    /// All open connections.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = ConnectionId { index: u16::try_from(index).ok()?, generation: slot.generation };
            Some((id, slot.connection.as_ref()?))
        })
    }
}

impl Connection {
    /// Whether all that was asked on it is answered, as far as is known here.
    fn is_between_requests(&self) -> bool {
        self.has_answered && self.input.is_empty() && self.output.is_empty()
    }

    fn storage_bytes(&self) -> usize {
        self.input.storage_bytes() + self.output.storage_bytes()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::vec::Vec;
    use core::cell::Cell;
    use std::thread_local;

    use super::*;
    use crate::connections::Origin;

    thread_local! {
        static SHORT: Cell<bool> = const { Cell::new(false) };
    }

    fn table(connections: usize) -> (Connections, Vec<ConnectionId>) {
        let mut table = Connections::new();
        let ids = (0..connections).filter_map(|_| table.open(0, Origin::Accepted(0))).collect();
        table.watch_memory(connections, || SHORT.get(), || HeapUsage { used_bytes: 1, free_bytes: 2 });
        (table, ids)
    }

    /// Ends connections until none may go; which, and whether with a reset.
    fn made_room(table: &mut Connections, ids: &[ConnectionId]) -> Vec<(usize, Ending)> {
        let mut ended = Vec::new();
        while table.make_room() {
            let is_new = |index: &usize| {
                table.get(ids[*index]).is_some_and(|connection| connection.ending() != Ending::Open)
                    && ended.iter().all(|(known, _)| known != index)
            };
            let index = (0..ids.len()).find(is_new).expect("one has been ended");
            ended.push((index, table.get(ids[index]).expect("live").ending()));
        }
        ended
    }

    #[test]
    fn idle_connections_are_evicted_before_streams_and_new_ones_stay() {
        let (mut table, ids) = table(5);
        table.begin_turn(Instant::from_millis(10_000));
        assert!(!table.make_room(), "all are busy");
        ids.iter().for_each(|id| table.get_mut(*id).expect("live").has_answered = true);
        table.set_idle(ids[0], Some(Instant::from_millis(9_900)));
        table.set_streaming(ids[1], Instant::from_millis(9_000));
        table.set_streaming(ids[2], Instant::from_millis(8_000));
        table.set_idle(ids[3], Some(Instant::from_millis(9_500)));
        table.set_idle(ids[4], Some(Instant::from_millis(9_400)));
        let ended = made_room(&mut table, &ids);
        assert_eq!(ended, [4, 3, 2, 1].map(|index| (index, Ending::Graceful)));
        table.begin_turn(Instant::from_millis(10_150));
        assert_eq!(made_room(&mut table, &ids[..1]), [(0, Ending::Graceful)]);
    }

    #[test]
    fn a_new_connection_has_time_to_send_its_request() {
        let (mut table, ids) = table(4);
        let since = Instant::from_millis(10_000);
        ids.iter().for_each(|id| table.set_idle(*id, Some(since)));
        table.get_mut(ids[1]).expect("live").has_answered = true;
        table.get_mut(ids[2]).expect("live").has_answered = true;
        table.get_mut(ids[2]).expect("live").input.write(b"GET / HT").expect("fits");
        table.get_mut(ids[3]).expect("live").input.write(b"GET / HT").expect("fits");
        table.begin_turn(since + FRESH_MAX);
        assert_eq!(made_room(&mut table, &ids), [(1, Ending::Graceful)], "the others may be heard yet");
        table.begin_turn(since + (REQUEST_GRACE - Duration::from_millis(1)));
        assert!(!table.make_room());
        table.begin_turn(since + REQUEST_GRACE);
        table.remove(ids[1]);
        let rest = [ids[0], ids[2], ids[3]];
        assert_eq!(made_room(&mut table, &rest), [0, 1, 2].map(|index| (index, Ending::Abort)));
    }

    #[test]
    fn when_memory_is_short_the_largest_connections_close() {
        let (mut table, ids) = table(4);
        let peer = table.open(0, Origin::Peer(0)).expect("room");
        for (id, bytes) in
            [(ids[0], 5_000), (ids[1], 1_000), (ids[2], 50_000), (ids[3], 60_000), (peer, 90_000)]
        {
            table.get_mut(id).expect("live").output.write(&std::vec![0; bytes]).expect("fits");
        }
        table.keep(ids[2]);
        table.relieve_memory();
        assert!(
            ids.iter().all(|id| table.get(*id).expect("live").ending() == Ending::Open),
            "there is plenty"
        );
        assert_eq!(table.largest_hoard().map(|(_, id)| id), Some(ids[3]));

        SHORT.set(true);
        table.relieve_memory();
        let gone: Vec<_> =
            ids.iter().filter(|id| table.get(**id).expect("live").ending() == Ending::Abort).collect();
        assert_eq!(gone, [&ids[0], &ids[3]], "not what is small, not what is kept");
        let ended = table.get_mut(ids[3]).expect("live");
        assert_eq!((ended.storage_bytes(), ended.output.write(b"x").is_err()), (0, true));
        assert_eq!(table.get(peer).expect("live").ending(), Ending::Open);
    }

    #[test]
    fn a_slot_is_reset_after_its_connection_ended_for_lack_of_memory() {
        let (mut table, ids) = table(1);
        table.get_mut(ids[0]).expect("live").input.write(&[0; 9_000]).expect("fits");
        SHORT.set(true);
        table.relieve_memory();
        SHORT.set(false);
        table.remove(ids[0]);
        let next = table.open(0, Origin::Accepted(0)).expect("room");
        assert_eq!(table.get(next).expect("live").input.space(), crate::connections::INPUT_BYTES_MAX);
    }
}
