//! The way of a request as a chart: layers beside each other, time downwards, a box with the instructions of each
//! station.

use compare::budget::layer::Layer;
use compare::drawing::{Colour, LABEL, Lettering, WIDTH};

use super::scene::{Area, MARGIN, Mark, Scene};
use super::size::heading;
use crate::model::number::grouped;
use crate::model::request::{Passage, Request, Station};

const TOP: f64 = 28.0;
const NAMES: f64 = 16.0;
/// Height of a station's box, and of the way to the next one.
const BOX: f64 = 14.0;
const WAY: f64 = 7.0;
/// Height of the line between two turns.
const REST: f64 = 24.0;

/// Who takes part, from left to right. Layers have the colours of the comparison's stages.
const LANES: [(&str, Option<Layer>); 8] = [
    ("voter", None),
    ("rings", Some("virtio-net and idle")),
    ("TCP/IP", Some("TCP/IP (smoltcp)")),
    ("loop", Some("event loop, connections")),
    ("HTTP", Some("HTTP")),
    ("service", Some("application")),
    ("RESP", Some("store client (RESP)")),
    ("store", None),
];
const VOTER: usize = 0;
const RINGS: usize = 1;
const STORE: usize = LANES.len() - 1;
const LANE: f64 = (WIDTH - 2.0 * MARGIN) / LANES.len() as f64;

/// Draws a request to a service, in a picture of this name.
pub fn draw(name: &'static str, service: &str, request: &Request) -> Scene {
    let instructions = grouped(request.instructions());
    let title = format!("A {} through {service}: {instructions} instructions", request.method);
    let mut scene = Scene::new(name, title, describe(request));
    scene.how = "Each box is a run of instructions in one layer, in the order in which they were executed.";
    heading(&mut scene);
    scene.height = TOP + height(request) + MARGIN;
    draw_request(&mut scene, request);
    scene
}

fn height(request: &Request) -> f64 {
    let passage = |passage: &Passage| REST + passage.stations.len() as f64 * (BOX + WAY);
    NAMES + request.passages.iter().map(passage).sum::<f64>() + WAY + 4.0
}

fn center(lane: usize) -> f64 {
    MARGIN + LANE * (lane as f64 + 0.5)
}

fn lane_of(layer: Layer) -> usize {
    LANES.iter().position(|(_, of)| *of == Some(layer)).unwrap_or(RINGS)
}

fn draw_request(scene: &mut Scene, request: &Request) {
    let names = TOP;
    let end = scene.height - MARGIN;
    for (lane, (name, _)) in LANES.iter().enumerate() {
        let room = Area::new(center(lane) - LANE / 2.0, names, LANE, NAMES);
        scene.text(name, (center(lane), names + NAMES / 2.0), Lettering { size: 9, ..LABEL }, room);
        scene.line((center(lane), room.bottom()), (center(lane), end), Colour::Grid);
    }
    let mut y = names + NAMES;
    for (index, passage) in request.passages.iter().enumerate() {
        let told = match (index, passage.is_from_store) {
            (0, _) => "the request comes",
            (_, true) => "the store replies",
            _ => "the voter acknowledges",
        };
        y = draw_passage(scene, passage, told, y);
        // Who is told something is who speaks next.
        if let Some(next) = request.passages.get(index + 1) {
            let to = if next.is_from_store { STORE } else { VOTER };
            scene.arrow((center(RINGS), y + 3.0), (center(to), y + 3.0), Colour::Faint);
        }
    }
}

fn draw_passage(scene: &mut Scene, passage: &Passage, told: &str, top: f64) -> f64 {
    let from = if passage.is_from_store { STORE } else { VOTER };
    let mut y = top + REST - WAY;
    let room = Area::new(center(RINGS), top + 4.0, WIDTH - MARGIN - center(RINGS), REST - WAY);
    let small = Lettering { size: 8, anchor: "start", ..LABEL };
    scene.text(told, (center(RINGS) + 5.0, top + 12.0), small, room);
    scene.arrow((center(from), y + 2.0), (center(RINGS), y + 2.0), Colour::Faint);
    let mut last = None;
    for station in &passage.stations {
        let lane = lane_of(station.layer);
        if let Some(last) = last {
            scene.arrow((center(last), y + 3.0), (center(lane), y + 3.0), Colour::Text);
        }
        y += WAY;
        draw_station(scene, station, lane, y);
        y += BOX;
        last = Some(lane);
    }
    y
}

fn draw_station(scene: &mut Scene, station: &Station, lane: usize, top: f64) {
    let area = Area::new(center(lane) - LANE / 2.0 + 1.5, top, LANE - 3.0, BOX);
    let about = format!(
        "{}: {} instructions, most of them in {}",
        station.layer,
        station.instructions,
        station.function()
    );
    scene.marks.push(Mark::Fill {
        area,
        colour: Colour::Stage(lane - RINGS),
        opacity: 1.0,
        about: Some(about),
    });
    let lettering = Lettering { size: 9, colour: Colour::Paper, bold: false, anchor: "middle" };
    scene.text(&grouped(station.instructions), (center(lane), top + BOX / 2.0), lettering, area);
}

fn describe(request: &Request) -> String {
    let station = |station: &Station| format!("{} {}", station.layer, grouped(station.instructions));
    let passage = |passage: &Passage| {
        let who = if passage.is_from_store { "the store answers" } else { "the voter's frame comes" };
        let stations: Vec<String> = passage.stations.iter().map(station).collect();
        format!("{who}: {}", stations.join(", "))
    };
    let passages: Vec<String> = request.passages.iter().map(passage).collect();
    let passages = passages.join(". Then ");
    format!("A chart of the layers that a request passes, with the instructions in each. {passages}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_station_has_its_number() {
        let passage = |is_from_store, layers: &[Layer]| {
            let origins = layers.iter().flat_map(|layer| std::iter::repeat_n((*layer, "f"), 1234));
            Passage::of(is_from_store, origins)
        };
        let layers: Vec<Layer> = LANES.iter().filter_map(|(_, layer)| *layer).collect();
        let passages = vec![passage(false, &layers), passage(true, &layers[..3])];
        let scene = draw("vote", "a-service", &Request { method: "POST", passages });
        assert_eq!(scene.flaws(), [""; 0]);
        let numbers =
            scene.marks.iter().filter(|mark| matches!(mark, Mark::Text { text, .. } if text == "1,234"));
        assert_eq!(numbers.count(), 9);
    }
}
