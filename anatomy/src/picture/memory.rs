//! The memory map: a box for each region, in the order of addresses, not to scale.

use compare::drawing::{Colour, LABEL, Lettering, TEXT, WIDTH};

use super::scene::{Area, MARGIN, Scene, fitting};
use super::size::heading;
use crate::model::memory::{Memory, Region, Use};
use crate::model::number::size;

const TOP: f64 = 28.0;
const PANEL: f64 = 20.0;
/// Width of the column with the addresses, and of the boxes.
const ADDRESSES: f64 = 82.0;
const BOXES: f64 = 176.0;
/// Height of the smallest region, what each four-fold size adds, and that of the largest one.
const HEIGHT_MIN: f64 = 14.0;
const HEIGHT_STEP: f64 = 2.4;
const HEIGHT_MAX: f64 = 40.0;
/// Between regions that do not follow each other.
const BREAK: f64 = 9.0;
const BETWEEN: f64 = 1.0;

/// Draws a service's memory.
pub fn draw(service: &str, memory: &Memory) -> Scene {
    let title = match memory.bytes {
        0 => format!("The memory that {service} is built for"),
        bytes => format!("The memory of {service}: {}", size(bytes)),
    };
    let mut scene = Scene::new("memory", title, describe(memory));
    scene.how = "From low to high addresses, with the rights that the page tables give; dots stand for unused addresses.";
    heading(&mut scene);
    let mut top = TOP;
    let low = if memory.bytes == 0 { "physical addresses" } else { "virtual addresses equal physical ones" };
    for (name, regions) in [(low, &memory.low), ("virtual addresses of the kernel's own", &memory.high)] {
        if !regions.is_empty() {
            top = panel(&mut scene, name, regions, top);
        }
    }
    let tables = memory.tables.count();
    if tables > 0 {
        let room = Area::new(0.0, top, WIDTH, 16.0);
        let note = format!("{tables} page tables map it; heights are not to scale");
        scene.height = room.bottom() + MARGIN;
        scene.text(&note, (MARGIN, top + 8.0), Lettering { anchor: "start", ..LABEL }, room);
    }
    scene.height = scene.height.max(top + MARGIN);
    scene
}

fn panel(scene: &mut Scene, name: &str, regions: &[Region], top: f64) -> f64 {
    let room = Area::new(0.0, top, WIDTH, PANEL);
    scene.text(name, (MARGIN, top + PANEL / 2.0), Lettering { anchor: "start", bold: true, ..LABEL }, room);
    let mut top = room.bottom();
    let mut last: Option<&Region> = None;
    for region in regions {
        if last.is_some_and(|last| region.is_apart_from(last)) {
            let middle = MARGIN + ADDRESSES + BOXES / 2.0;
            for dot in [-8.0, 0.0, 8.0] {
                scene.fill(Area::new(middle + dot - 1.0, top + BREAK / 2.0 - 1.0, 2.0, 2.0), Colour::Faint);
            }
            top += BREAK;
        }
        last = Some(region);
        top = draw_region(scene, region, top);
    }
    top + 6.0
}

fn draw_region(scene: &mut Scene, region: &Region, top: f64) -> f64 {
    let pages = (region.span.bytes().max(1) as f64 / 4096.0).max(1.0);
    let height = (HEIGHT_MIN + HEIGHT_STEP * pages.log(4.0)).min(HEIGHT_MAX);
    let area = Area::new(MARGIN + ADDRESSES, top, BOXES, height - BETWEEN);
    let colour = colour(region.used_for);
    scene.fill(area, colour);
    let middle = top + (height - BETWEEN) / 2.0;
    let small = Lettering { size: 9, ..LABEL };
    let addresses = Area::new(MARGIN, top, ADDRESSES - 2.0, height);
    let address = format!("{:#x}", region.span.start);
    scene.text(&address, (addresses.right() - 2.0, middle), Lettering { anchor: "end", ..small }, addresses);
    let ink = if region.used_for == Use::Free { Colour::Text } else { Colour::Paper };
    let short = region.span.name.split(" (").next().unwrap_or_default();
    let short = short.split([':', ';', ',']).next().unwrap_or(short);
    if let Some(name) = fitting(&[&region.span.name, short], 9, area.width - 8.0) {
        let lettering = Lettering { colour: ink, size: 9, ..TEXT };
        scene.text(name, (area.x + 4.0, middle), lettering, area);
    }
    let right = Area::new(area.right() + 2.0, top, WIDTH - MARGIN - area.right() - 2.0, height);
    let text = format!("{} {}", size(region.span.bytes()), region.rights);
    scene.text(text.trim_end(), (right.x + 2.0, middle), Lettering { anchor: "start", ..small }, right);
    top + height
}

fn colour(used_for: Use) -> Colour {
    match used_for {
        Use::Firmware | Use::Loader | Use::Device => Colour::Stage(0),
        Use::PageTables => Colour::Stage(5),
        Use::Code => Colour::Stage(1),
        Use::ReadOnly => Colour::Stage(3),
        Use::Data | Use::Heap => Colour::Stage(2),
        Use::Stack => Colour::Stage(4),
        Use::Free => Colour::Grid,
    }
}

fn describe(memory: &Memory) -> String {
    let region = |region: &Region| {
        format!("{:#x} {}, {}", region.span.start, region.span.name, size(region.span.bytes()))
    };
    let regions: Vec<String> = memory.low.iter().chain(&memory.high).map(region).collect();
    format!("A list of regions by address: {}.", regions.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::program::Span;

    #[test]
    fn regions_stand_below_each_other_with_their_addresses() {
        let region = |name: &str, start, end, used_for| Region {
            span: Span { name: name.to_owned(), start, end },
            used_for,
            rights: "rw",
        };
        let memory = Memory {
            low: vec![
                region("page 0", 0, 0x1000, Use::Free),
                region("loader: code, constants", 0x10_0000, 0x10_7000, Use::Loader),
                region("code (text)", 0x20_0000, 0x30_0000, Use::Code),
            ],
            high: vec![region("heap", 64 << 40, (64 << 40) + (20 << 20), Use::Heap)],
            tables: Default::default(),
            bytes: 32 << 20,
        };
        let scene = draw("a-service", &memory);
        assert_eq!(scene.flaws(), [""; 0]);
        let texts = scene.marks.iter().filter(|mark| mark.text_area().is_some()).count();
        assert_eq!(texts, 1 + 2 + 4 * 3, "all texts had room");
        assert!(scene.description.contains("0x400000000000 heap, 20 MiB"), "{}", scene.description);
    }
}
