//! The way of a request through a guest: the layers that its instructions belong to, in the order in which they were
//! executed, short visits counted with their neighbours.
//!
//! Knows layers by their names, no addresses.

use std::collections::BTreeMap;

use compare::budget::layer::{COPYING, KERNEL, LAYERS, LIBRARY, Layer};

use super::figures::{Figures, slug};

/// Most stations of a turn.
const STATIONS_MAX: usize = 9;
/// A visit with less than this share of a turn's instructions, in thousandths, is no station.
const SHARE_MIN: u64 = 20;
/// What works for whatever calls it: its instructions count with the layer before it.
const HELPERS: [Layer; 5] = [COPYING, KERNEL, LIBRARY, CLOCK, "allocator"];
/// The clock and random numbers, which the comparison counts with the driver that they lie beside.
pub const CLOCK: Layer = "clock and entropy";

/// A layer with the instructions that were executed in it in one go, or nearly so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Station {
    /// The layer.
    pub layer: Layer,
    /// How many instructions.
    pub instructions: u64,
    /// How many of them were in each function, without helpers.
    functions: BTreeMap<String, u64>,
}

/// What happens between two times at which the guest rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Whether the store has woken it; otherwise the voter has.
    pub is_from_store: bool,
    /// The stations in order.
    pub stations: Vec<Station>,
    /// Instructions by layer, to the last one, helpers apart.
    pub layers: BTreeMap<Layer, u64>,
}

/// A request, from the first frame to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked, such as `GET`.
    pub method: &'static str,
    /// What happens, in order.
    pub passages: Vec<Passage>,
}

impl Passage {
    /// By the layer and the function of each instruction, in order.
    pub fn of<'a>(is_from_store: bool, origins: impl Iterator<Item = (Layer, &'a str)>) -> Self {
        let mut layers = BTreeMap::new();
        let mut stations: Vec<Station> = Vec::new();
        let mut early = 0;
        for (layer, function) in origins {
            *layers.entry(layer).or_default() += 1;
            let is_helper = HELPERS.contains(&layer);
            match stations.last_mut() {
                Some(last) if is_helper => last.instructions += 1,
                Some(last) if last.layer == layer => last.add(function, 1),
                None if is_helper => early += 1,
                _ => stations.push(Station::new(layer, function)),
            }
        }
        if let Some(first) = stations.first_mut() {
            first.instructions += early;
        }
        Self { is_from_store, stations: merged(stations), layers }
    }

    /// How many instructions there were.
    pub fn instructions(&self) -> u64 {
        self.stations.iter().map(|station| station.instructions).sum()
    }
}

impl Station {
    fn new(layer: Layer, function: &str) -> Self {
        Self { layer, instructions: 1, functions: BTreeMap::from([(function.to_owned(), 1)]) }
    }

    fn add(&mut self, function: &str, instructions: u64) {
        self.instructions += instructions;
        match self.functions.get_mut(function) {
            Some(count) => *count += instructions,
            None => drop(self.functions.insert(function.to_owned(), instructions)),
        }
    }

    /// Counts a visit to another layer as its own, but not the other one's functions.
    fn take(&mut self, visit: &Self) {
        self.instructions += visit.instructions;
        if self.layer == visit.layer {
            for (function, count) in &visit.functions {
                *self.functions.entry(function.clone()).or_default() += count;
            }
        }
    }

    /// The function with most of the instructions.
    pub fn function(&self) -> &str {
        let most = self.functions.iter().max_by_key(|(_, count)| **count);
        most.map_or("", |(name, _)| name.as_str())
    }
}

/// Gives the shortest visits to their neighbours, until none is short and there are few.
fn merged(mut stations: Vec<Station>) -> Vec<Station> {
    let all: u64 = stations.iter().map(|station| station.instructions).sum();
    loop {
        // The ends stay: a request comes in and goes out there.
        let last = stations.len().saturating_sub(1);
        let inner = (1..last).min_by_key(|index| stations[*index].instructions);
        let Some(index) = inner else { return stations };
        let is_short = stations[index].instructions * 1000 < all * SHARE_MIN;
        if !is_short && stations.len() <= STATIONS_MAX {
            return stations;
        }
        let visit = stations.remove(index);
        let before = &stations[index - 1];
        let goes_back =
            before.layer == stations[index].layer || before.instructions >= stations[index].instructions;
        let at = if goes_back { index - 1 } else { index };
        stations[at].take(&visit);
        if stations[index - 1].layer == stations[index].layer {
            let behind = stations.remove(index);
            stations[index - 1].take(&behind);
        }
    }
}

impl Request {
    /// How many instructions there were.
    pub fn instructions(&self) -> u64 {
        self.passages.iter().map(Passage::instructions).sum()
    }

    /// Instructions of a layer, to the last one.
    pub fn of_layer(&self, layer: Layer) -> u64 {
        self.passages.iter().filter_map(|passage| passage.layers.get(layer)).sum()
    }

    /// The figures of a request to a service.
    pub fn figures(&self, service: &str) -> Figures {
        let mut figures = Figures::default();
        let prefix = format!("request.{service}.{}", self.method.to_lowercase());
        figures.add(format!("{prefix}.instructions"), self.instructions());
        figures.add(format!("{prefix}.turns"), self.passages.len() as u64);
        let stations = self.passages.iter().map(|passage| passage.stations.len() as u64).sum();
        figures.add(format!("{prefix}.stations"), stations);
        for layer in LAYERS.iter().map(|(layer, _)| *layer).chain([CLOCK]) {
            figures.add(format!("{prefix}.{}.instructions", slug(layer)), self.of_layer(layer));
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: Layer = "virtio-net and idle";
    const STACK: Layer = "TCP/IP (smoltcp)";
    const HTTP: Layer = "HTTP";

    fn passage(runs: &[(Layer, usize)]) -> Passage {
        Passage::of(false, runs.iter().flat_map(|(layer, count)| std::iter::repeat_n((*layer, "f"), *count)))
    }

    fn told(passage: &Passage) -> Vec<(Layer, u64)> {
        passage.stations.iter().map(|station| (station.layer, station.instructions)).collect()
    }

    #[test]
    fn short_visits_and_helpers_count_with_their_neighbours_and_nothing_is_lost() {
        let passage = passage(&[
            (KERNEL, 3),
            (RING, 100),
            (COPYING, 7),
            (STACK, 400),
            (HTTP, 2),
            (STACK, 50),
            (HTTP, 300),
            (RING, 1),
        ]);
        assert_eq!(told(&passage), [(RING, 110), (STACK, 452), (HTTP, 300), (RING, 1)]);
        assert_eq!(passage.instructions(), 863);
        assert_eq!(passage.layers[HTTP], 302, "by layer they are told to the last one");
        assert_eq!(passage.layers[COPYING], 7);
    }

    #[test]
    fn there_are_never_more_stations_than_can_be_drawn() {
        let runs: Vec<(Layer, usize)> =
            (0..60).map(|index| ([RING, STACK, HTTP][index % 3], 100 + index)).collect();
        let passage = passage(&runs);
        assert!(passage.stations.len() <= STATIONS_MAX);
        assert_eq!(passage.instructions(), (0..60).map(|index| 100 + index).sum::<u64>());
    }

    #[test]
    fn figures_are_told_by_layer() {
        let request = Request { method: "GET", passages: vec![passage(&[(RING, 2), (HTTP, 5), (RING, 1)])] };
        let figures = request.figures("x");
        assert_eq!(figures.get("request.x.get.instructions"), Some(8));
        assert_eq!(figures.get("request.x.get.http.instructions"), Some(5));
        assert_eq!(figures.get("request.x.get.virtio-net-and-idle.instructions"), Some(3));
    }
}
