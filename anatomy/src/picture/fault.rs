//! A fault as a message sequence chart: nodes beside each other, time downwards, messages as arrows.

use compare::drawing::{Colour, LABEL, Lettering, TEXT, WIDTH};

use super::scene::{Area, MARGIN, Mark, Scene, lines, text_width};
use super::size::heading;
use crate::model::fault::{Event, Fault, Node, What};

const TOP: f64 = 40.0;
const NAMES: f64 = 18.0;
/// Height of an event.
const ROW: f64 = 19.0;
const LINE: f64 = 13.0;
/// Size of what is said.
const SIZE: u8 = 9;
/// How far before a node a message ends that is lost on its way.
const LOST: f64 = 26.0;

/// Draws a fault.
pub fn draw(fault: &Fault) -> Scene {
    let title = "A store loses its power before it can reply".to_owned();
    let mut scene = Scene::new("fault", title, describe(fault));
    scene.how = "Time goes down; what is dashed was lost.";
    heading(&mut scene);
    let note = format!("simulated with seed {}; times since the vote was sent", fault.seed);
    let room = Area::new(0.0, 22.0, WIDTH, 18.0);
    scene.text(&note, (MARGIN, 31.0), Lettering { anchor: "start", ..LABEL }, room);
    let end = conclusion(fault);
    let end = lines(&end, LABEL.size, WIDTH - 2.0 * MARGIN);
    let chart = TOP + NAMES + ROW * fault.events.len() as f64;
    scene.height = chart + 10.0 + LINE * end.len() as f64 + MARGIN;
    lifelines(&mut scene, fault, chart);
    for (index, event) in fault.events.iter().enumerate() {
        draw_event(&mut scene, event, TOP + NAMES + ROW * index as f64);
    }
    for (index, line) in end.iter().enumerate() {
        let room = Area::new(0.0, chart + 8.0 + LINE * index as f64, WIDTH, LINE);
        let lettering = Lettering { anchor: "start", colour: Colour::Text, ..LABEL };
        scene.text(line, (MARGIN, room.y + LINE / 2.0), lettering, room);
    }
    scene
}

fn conclusion(fault: &Fault) -> String {
    let (sent, counted) = fault.votes;
    let (messages, lost) = fault.messages();
    let votes = match (sent, counted) {
        (1, 1) => "One vote was sent, and it counts once.".to_owned(),
        _ => format!("Votes sent: {sent}; votes that count: {counted}."),
    };
    format!("{messages} messages, {lost} of them lost. {votes}")
}

fn x(node: Node) -> f64 {
    match node {
        Node::Worker => 82.0,
        Node::Store => 232.0,
        Node::Disk => 318.0,
    }
}

fn name(node: Node) -> &'static str {
    match node {
        Node::Worker => "worker",
        Node::Store => "store",
        Node::Disk => "disk",
    }
}

/// A line for each node, which is dashed while the node has no power.
fn lifelines(scene: &mut Scene, fault: &Fault, end: f64) {
    let row = |what: &What| {
        let found = fault.events.iter().position(|event| event.what == *what);
        found.map(|index| TOP + NAMES + ROW * (index as f64 + 0.5))
    };
    let (cut, start) = (row(&What::PowerCut).unwrap_or(end), row(&What::Start).unwrap_or(end));
    for node in [Node::Worker, Node::Store, Node::Disk] {
        let room = Area::new(x(node) - 26.0, TOP, 52.0, NAMES);
        let lettering = Lettering { anchor: "middle", bold: true, size: 10, ..TEXT };
        scene.text(name(node), (x(node), TOP + NAMES / 2.0), lettering, room);
        let mut line = |from: f64, to: f64, is_dashed| {
            let (from, to) = ((x(node), from), (x(node), to));
            scene.marks.push(Mark::Line { from, to, colour: Colour::Faint, is_dashed, has_head: false });
        };
        if node == Node::Store {
            line(TOP + NAMES, cut, false);
            line(cut, start, true);
            line(start, end, false);
        } else {
            line(TOP + NAMES, end, false);
        }
    }
}

fn draw_event(scene: &mut Scene, event: &Event, top: f64) {
    let ms = event.at.as_secs_f64() * 1000.0;
    let time = if ms < 1000.0 { format!("{ms:.1} ms") } else { format!("{:.3} s", ms / 1000.0) };
    let room = Area::new(0.0, top, 62.0, ROW);
    let small = Lettering { size: 8, anchor: "end", ..LABEL };
    scene.text(&time, (room.right() - 8.0, top + ROW - 6.5), small, room);
    match event.what {
        What::Message { to, is_lost } => message(scene, event, (to, is_lost), top),
        What::Note => boxed(scene, event, Colour::Stage(2), top),
        What::PowerCut => boxed(scene, event, Colour::Stage(4), top),
        What::Start => boxed(scene, event, Colour::Stage(1), top),
    }
}

fn message(scene: &mut Scene, event: &Event, (to, is_lost): (Node, bool), top: f64) {
    let (from, end) = (x(event.node), x(to));
    let direction = (end - from).signum();
    let y = top + ROW - 4.0;
    let tip = if is_lost { end - direction * LOST } else { end };
    let colour = if is_lost { Colour::Stage(4) } else { Colour::Text };
    scene.marks.push(Mark::Line {
        from: (from, y),
        to: (tip, y),
        colour,
        is_dashed: is_lost,
        has_head: true,
    });
    if is_lost {
        for slope in [-3.0, 3.0] {
            scene.line(
                (tip + direction * 5.0 - 3.0, y - slope),
                (tip + direction * 5.0 + 3.0, y + slope),
                colour,
            );
        }
    }
    let room = Area::new(from.min(end) + 3.0, top, (end - from).abs() - 6.0, ROW);
    let text = shortened(&event.text, room.width);
    let lettering = Lettering { size: SIZE, colour, bold: false, anchor: "middle" };
    scene.text(&text, ((from + end) / 2.0, top + 7.0), lettering, room);
}

/// A text that fits, if need be without its end.
fn shortened(text: &str, width: f64) -> String {
    if text_width(text, SIZE) <= width {
        return text.to_owned();
    }
    let mut words: Vec<&str> = text.split(' ').collect();
    while words.len() > 1 && text_width(&format!("{} …", words.join(" ")), SIZE) > width {
        words.pop();
    }
    format!("{} …", words.join(" "))
}

fn boxed(scene: &mut Scene, event: &Event, colour: Colour, top: f64) {
    let width = text_width(&event.text, SIZE) + 10.0;
    let left = (x(event.node) - width / 2.0).min(WIDTH - MARGIN - width);
    let area = Area::new(left, top + 3.0, width, ROW - 5.0);
    scene.fill(area, colour);
    let lettering = Lettering { size: SIZE, colour: Colour::Paper, bold: false, anchor: "middle" };
    scene.text(&event.text, (left + width / 2.0, area.y + area.height / 2.0), lettering, area);
}

fn describe(fault: &Fault) -> String {
    let told = |event: &Event| {
        let lost = match event.what {
            What::Message { to, is_lost: true } => format!(" to {}, lost", name(to)),
            What::Message { to, .. } => format!(" to {}", name(to)),
            _ => String::new(),
        };
        format!("{}{lost}: {}", name(event.node), event.text)
    };
    let events: Vec<String> = fault.events.iter().map(told).collect();
    format!("A sequence chart of worker, store and disk. {}. {}", events.join("; "), conclusion(fault))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn messages_and_notes_have_their_words_and_long_ones_lose_their_end() {
        let event = |node, what, text: &str| Event {
            at: Duration::from_micros(12_345),
            node,
            what,
            text: text.to_owned(),
        };
        let message = |to, is_lost| What::Message { to, is_lost };
        let long = "MULTI HSET HDEL LREM HINCRBY LRANGE EXEC and more of them";
        let events = vec![
            event(Node::Worker, message(Node::Store, false), long),
            event(Node::Store, message(Node::Disk, false), "write and flush"),
            event(Node::Disk, What::Note, "the count is durable"),
            event(Node::Store, What::PowerCut, "loses its power"),
            event(Node::Worker, message(Node::Store, true), "EXEC"),
            event(Node::Store, What::Start, "starts, reads its log"),
        ];
        let scene = draw(&Fault { seed: 1, events, votes: (1, 1) });
        assert_eq!(scene.flaws(), [""; 0]);
        let texts = scene.marks.iter().filter(|mark| mark.text_area().is_some()).count();
        assert_eq!(texts, 2 + 3 + 6 * 2 + 2, "all texts had room");
        assert!(scene.description.contains("worker to store, lost: EXEC"), "{}", scene.description);
    }
}
