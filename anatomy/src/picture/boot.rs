//! The boot as a timeline: a bar for each stage, from where the one before it ended.

use compare::drawing::{Colour, LABEL, Lettering, TEXT, WIDTH};

use super::scene::{Area, MARGIN, Scene};
use super::size::heading;
use crate::model::boot::{Boot, Stage, milliseconds};
use crate::model::number::{grouped, percent};

const TOP: f64 = 46.0;
/// Heights of a stage's name, of what happens in it, and of its bar; then the next one.
const NAME: f64 = 15.0;
const ABOUT: f64 = 13.0;
const BAR: f64 = 9.0;
const GAP: f64 = 9.0;
const STAGE: f64 = NAME + ABOUT + BAR + GAP;
/// A bar is seen however short it is.
const BAR_WIDTH_MIN: f64 = 1.2;

/// Draws a service's boot.
pub fn draw(service: &str, boot: &Boot) -> Scene {
    let all = boot.instructions();
    let title = format!("How {service} boots: {} instructions", grouped(all));
    let mut scene = Scene::new("boot", title, describe(boot));
    scene.height = TOP + STAGE * boot.stages.len() as f64 + MARGIN;
    scene.how = "Each bar begins where the stage before it ended.";
    heading(&mut scene);
    let room = Area::new(0.0, 24.0, WIDTH, 20.0);
    let note = format!("{} at a nanosecond an instruction, as QEMU counts", milliseconds(all));
    scene.text(&note, (MARGIN, 33.0), Lettering { anchor: "start", ..LABEL }, room);
    let mut begin = 0;
    for (index, stage) in boot.stages.iter().enumerate() {
        draw_stage(&mut scene, (index, stage), begin, all);
        begin += stage.instructions;
    }
    scene
}

fn draw_stage(scene: &mut Scene, (index, stage): (usize, &Stage), begin: u64, all: u64) {
    let width = WIDTH - 2.0 * MARGIN;
    let top = TOP + STAGE * index as f64;
    let row = Area::new(MARGIN, top, width, NAME);
    let name = format!("{} {}", index + 1, stage.name);
    scene.text(&name, (row.x, top + NAME / 2.0), Lettering { bold: true, ..TEXT }, row);
    let figures = format!(
        "{} · {} · {}",
        grouped(stage.instructions),
        percent(stage.instructions, all),
        milliseconds(stage.instructions)
    );
    scene.text(&figures, (row.right(), top + NAME / 2.0), Lettering { anchor: "end", ..TEXT }, row);
    let below = Area::new(MARGIN, top + NAME, width, ABOUT);
    let about = Lettering { anchor: "start", ..LABEL };
    scene.text(stage.about, (below.x, below.y + ABOUT / 2.0), about, below);
    let place = |instructions: u64| width * instructions as f64 / all.max(1) as f64;
    let bar = top + NAME + ABOUT;
    scene.fill(Area::new(MARGIN, bar, width, BAR), Colour::Grid);
    let length = place(stage.instructions).max(BAR_WIDTH_MIN);
    let left = (MARGIN + place(begin)).min(MARGIN + width - length);
    scene.fill(Area::new(left, bar, length, BAR), Colour::Stage(index));
}

fn describe(boot: &Boot) -> String {
    let stage = |stage: &Stage| format!("{} {}", stage.name, grouped(stage.instructions));
    let stages: Vec<String> = boot.stages.iter().map(stage).collect();
    format!(
        "A timeline of stages with their instructions, each after the one before it: {}.",
        stages.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_a_bar_and_a_name_that_fit() {
        let stage = |name, instructions| Stage {
            name,
            about: "the search for the network card, and its queues",
            instructions,
        };
        let stages = vec![stage("firmware", 400_000), stage("first answer", 1), stage("network", 1_000_000)];
        let scene = draw("a-service", &Boot { stages, counted: None });
        assert_eq!(scene.flaws(), [""; 0]);
        let texts = scene.marks.iter().filter(|mark| mark.text_area().is_some()).count();
        assert_eq!(texts, 2 + 3 * 3, "all texts had room");
    }
}
