//! Places on the simulated wire without a node: a test sends and reads frames there itself.
//!
//! Forges and answers nothing of its own, not even ARP.

use alloc::vec::Vec;

use super::{Simulation, ether};

/// Position on the wire of the first station; those below are nodes.
const STATION_FIRST: usize = 0x8000;

/// Names a station of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationId(usize);

/// Frames that have arrived and were not taken, of each station.
#[derive(Debug, Default)]
pub(super) struct Stations(Vec<Vec<Vec<u8>>>);

impl Stations {
    /// Positions on the wire.
    pub fn positions(&self) -> impl Iterator<Item = usize> + use<> {
        STATION_FIRST..STATION_FIRST + self.0.len()
    }

    /// A frame has come to this position; false when no station is there.
    pub fn receive(&mut self, position: usize, frame: &[u8]) -> bool {
        let Some(arrived) = position.checked_sub(STATION_FIRST).and_then(|at| self.0.get_mut(at)) else {
            return false;
        };
        arrived.push(frame.to_vec());
        true
    }
}

impl Simulation {
    /// Adds a station.
    pub fn add_station(&mut self) -> StationId {
        self.stations.0.push(Vec::new());
        StationId(self.stations.0.len() - 1)
    }

    /// The Ethernet address at which frames reach a station.
    pub fn station_address(&self, station: StationId) -> [u8; 6] {
        ether::hardware_address(STATION_FIRST + station.0)
    }

    /// Sends a frame from a station, whatever is in it.
    pub fn send_frame(&mut self, station: StationId, frame: &[u8]) {
        self.carry(STATION_FIRST + station.0, frame);
    }

    /// Takes the frames that have arrived at a station.
    pub fn take_frames(&mut self, station: StationId) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.stations.0[station.0])
    }
}
