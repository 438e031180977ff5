//! The queues of frames for each station, after the capture and the faults.
//!
//! `switch` has decided where a frame may go.

use ether::Arrival;
use wire::Instant;

use crate::capture::Capture;
use crate::faults::Faults;
use crate::queue::{FrameQueue, QUEUE_BYTES_BUSY};

/// A queue for each station.
#[derive(Debug)]
pub struct Fabric {
    queues: Vec<FrameQueue>,
    /// Stations whose queue was empty when it was last flushed, and is not now.
    dirty: Vec<usize>,
    /// Whether a machine is plugged in.
    plugged: Vec<bool>,
    /// What goes wrong.
    pub faults: Faults,
    /// Where frames are written to, if anywhere.
    pub capture: Option<Capture>,
    /// The time of this turn.
    pub now: Instant,
    /// Frames that were lost because too many waited for a station.
    pub overflowed: u64,
}

impl Fabric {
    /// For this number of stations, none of which is connected.
    pub fn new(stations: usize, seed: u64, capture: Option<Capture>) -> Self {
        Self {
            queues: (0..stations).map(|_| FrameQueue::default()).collect(),
            dirty: Vec::new(),
            plugged: vec![false; stations],
            faults: Faults::new(stations, seed),
            capture,
            now: Instant::ZERO,
            overflowed: 0,
        }
    }

    /// Number of the gateway.
    pub fn host(&self) -> usize {
        self.queues.len()
    }

    /// Whether a machine is plugged in.
    pub fn is_plugged(&self, station: usize) -> bool {
        self.plugged[station]
    }

    /// A machine is plugged in, or gone; what waited for the one before is not for the next.
    pub fn plug(&mut self, station: usize, plugged: bool) {
        self.plugged[station] = plugged;
        self.queues[station].clear();
    }

    /// Whether so much data waits for a station that senders should wait if they can.
    pub fn is_busy(&self, station: usize) -> bool {
        self.queues[station].len() >= QUEUE_BYTES_BUSY
    }

    /// A station has sent this.
    pub fn note_sent(&mut self, frame: &[u8]) {
        if let Some(capture) = &mut self.capture {
            capture.frame(frame);
        }
    }

    /// Takes a frame to a station.
    pub fn carry(&mut self, from: usize, to: usize, frame: &[u8]) {
        if self.faults.is_bad(from, to) {
            self.faults.pass(from, to, frame, self.now);
        } else {
            self.deliver(to, frame);
        }
    }

    /// Takes a frame from the gateway to a station, written in place.
    pub fn write<R>(&mut self, to: usize, length: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let host = self.host();
        let queue = &mut self.queues[to];
        let was_empty = queue.is_empty();
        let result = queue.write(length, write);
        if let Some(capture) = &mut self.capture {
            capture.frame(queue.last(length));
        }
        if self.faults.is_bad(host, to) {
            self.faults.pass(host, to, queue.last(length), self.now);
            queue.undo(length);
        } else if !self.plugged[to] {
            queue.undo(length);
        } else if was_empty {
            self.dirty.push(to);
        }
        result
    }

    /// Takes a frame that was held back and is due for the gateway; those for stations are delivered.
    pub fn take_arrived(&mut self) -> Option<Arrival> {
        while let Some(arrival) = self.faults.take_arrived(self.now) {
            if arrival.to == self.host() {
                return Some(arrival);
            }
            self.deliver(arrival.to, &arrival.frame);
        }
        None
    }

    /// Puts a frame into a station's queue.
    pub fn deliver(&mut self, to: usize, frame: &[u8]) {
        if !self.plugged[to] {
            return;
        }
        let was_empty = self.queues[to].is_empty();
        if !self.queues[to].push(frame) {
            self.overflowed += 1;
        } else if was_empty {
            self.dirty.push(to);
        }
    }

    /// Takes a station whose queue is to be flushed.
    pub fn take_dirty(&mut self) -> Option<usize> {
        self.dirty.pop()
    }

    /// What waits for a station.
    pub fn queue(&mut self, station: usize) -> &mut FrameQueue {
        &mut self.queues[station]
    }
}
