//! Places on the simulated wire without a node: a test sends and reads frames there itself.
//!
//! Forges and answers nothing of its own, not even ARP.

/// Position on the wire of the first station; those below are nodes.
const STATION_FIRST: usize = 0x8000;

/// Names a station of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationId(usize);

impl StationId {
    /// Where on the wire it is.
    pub(crate) fn position(self) -> usize {
        STATION_FIRST + self.0
    }
}

/// Frames that have arrived and were not taken, of each station.
#[derive(Debug, Default)]
pub(crate) struct Stations(Vec<Vec<Vec<u8>>>);

impl Stations {
    /// One more.
    pub fn add(&mut self) -> StationId {
        self.0.push(Vec::new());
        StationId(self.0.len() - 1)
    }

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

    /// Takes the frames that have arrived at a station.
    pub fn take(&mut self, station: StationId) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0[station.0])
    }
}
