//! The size map: areas as large as what they stand for, groups in colours, functions as cells.

use compare::drawing::{Colour, LABEL, Lettering, TEXT, WIDTH};

use super::scene::{Area, MARGIN, Mark, Scene, fitting};
use super::treemap::squarify;
use crate::model::number::{grouped, kib, percent};
use crate::model::size::{GROUPS, Group, Part, Size};

const HEADING: f64 = 22.0;
const MAP_HEIGHT: f64 = 400.0;
/// Height of a line of the legend.
const LINE: f64 = 16.0;
const SWATCH: f64 = 10.0;
/// Between groups, and between parts of one.
const BETWEEN_GROUPS: f64 = 2.0;
const BETWEEN_PARTS: f64 = 1.0;
/// A part smaller than this has no cells, and a cell smaller than this is not told apart.
const CELL_MIN: f64 = 5.0;
/// Width of the lines around cells.
const CELL_LINE: f64 = 0.2;
/// Sizes of a part's name, the first that fits.
const NAME_SIZES: [u8; 2] = [10, 8];
const LINE_HEIGHT: f64 = 11.6;
/// Most functions of a part that have a cell of their own.
const CELLS_MAX: usize = 24;

const NAME: Lettering = Lettering { size: 10, colour: Colour::Paper, bold: true, anchor: "start" };
const DETAIL: Lettering = Lettering { size: 9, colour: Colour::Paper, bold: false, anchor: "start" };

/// The colour of a group, in every picture.
pub fn colour(group: Group) -> Colour {
    Colour::Stage(match group {
        Group::Loader => 0,
        Group::Modules => 1,
        Group::Crates => 2,
        Group::ReadOnly => 3,
        Group::Kernel => 4,
        Group::Data => 5,
    })
}

/// Draws a service's size.
pub fn draw(service: &str, size: &Size) -> Scene {
    let title = format!("What is in {service}.img: {} bytes", grouped(size.bytes));
    let mut scene = Scene::new("size", title, describe(size));
    let map = Area::new(MARGIN, HEADING + 4.0, WIDTH - 2.0 * MARGIN, MAP_HEIGHT);
    scene.height = map.bottom() + 8.0 + GROUPS.len().div_ceil(2) as f64 * LINE + MARGIN;
    scene.how = "Areas are as large as the bytes that they stand for; fine lines divide functions.";
    heading(&mut scene);
    let mut groups = GROUPS.to_vec();
    groups.sort_by_key(|group| std::cmp::Reverse(size.group_bytes(*group)));
    groups.retain(|group| size.group_bytes(*group) > 0);
    let weights: Vec<f64> = groups.iter().map(|group| size.group_bytes(*group) as f64).collect();
    for (group, area) in groups.iter().zip(squarify(&weights, map)) {
        let parts: Vec<&Part> = size.of_group(*group).collect();
        let weights: Vec<f64> = parts.iter().map(|part| part.bytes as f64).collect();
        for (part, area) in parts.iter().zip(squarify(&weights, area.inset(BETWEEN_GROUPS / 2.0))) {
            draw_part(&mut scene, part, area.inset(BETWEEN_PARTS / 2.0), size.bytes);
        }
    }
    legend(&mut scene, size, map.bottom() + 8.0);
    scene
}

/// The picture's title in the picture.
pub fn heading(scene: &mut Scene) {
    let title = scene.title.clone();
    let room = Area::new(0.0, 0.0, WIDTH, HEADING + 4.0);
    scene.text(&title, (MARGIN, HEADING / 2.0 + 3.0), Lettering { bold: true, ..TEXT }, room);
}

fn describe(size: &Size) -> String {
    let of = |group: Group| {
        let parts: Vec<String> =
            size.of_group(group).take(3).map(|part| format!("{} {}", part.name, kib(part.bytes))).collect();
        let bytes = size.group_bytes(group);
        format!("{} {} ({}): {}", group.name(), kib(bytes), percent(bytes, size.bytes), parts.join(", "))
    };
    let groups: Vec<String> = GROUPS.into_iter().map(of).collect();
    format!("A map whose areas are as large as the parts of the file. {}.", groups.join(". "))
}

fn draw_part(scene: &mut Scene, part: &Part, area: Area, whole: u64) {
    let about = format!("{}: {} bytes, {}", part.name, grouped(part.bytes), percent(part.bytes, whole));
    let colour = colour(part.group);
    scene.marks.push(Mark::Fill { area, colour, opacity: 1.0, about: Some(about) });
    let label = label(scene, part, area);
    let below = Area::new(area.x, area.y + label, area.width, area.height - label);
    cells(scene, part, if below.height > below.width / 4.0 { below } else { area });
}

/// Its name, in one line or two, and its size, as far as they fit; how high that is.
fn label(scene: &mut Scene, part: &Part, area: Area) -> f64 {
    let inner = area.inset(2.5);
    let short = part.name.rsplit('/').next().unwrap_or(&part.name);
    let names = [vec![part.name.clone()], halves(&part.name), vec![short.to_owned()]];
    let size = kib(part.bytes);
    let fits = |names: &Vec<String>, size: u8| {
        let is_narrow = names.iter().all(|name| fitting(&[name], size, inner.width).is_some());
        is_narrow && names.len() as f64 * LINE_HEIGHT <= inner.height
    };
    let found = NAME_SIZES.into_iter().find_map(|size| {
        names.iter().find(|names| !names.is_empty() && fits(names, size)).map(|names| (size, names.clone()))
    });
    let Some((letters, mut texts)) = found else { return 0.0 };
    if fits(&[texts.clone(), vec![size.clone()]].concat(), DETAIL.size) {
        texts.push(size);
    }
    for (index, text) in texts.iter().enumerate() {
        let is_size = index > 0 && index + 1 == texts.len() && text.ends_with('B');
        let lettering = if is_size { DETAIL } else { Lettering { size: letters, ..NAME } };
        scene.text(text, (inner.x, inner.y + LINE_HEIGHT * (index as f64 + 0.5)), lettering, area);
    }
    texts.len() as f64 * LINE_HEIGHT + 4.0
}

/// A name in two lines, broken behind a slash or a hyphen, or at a space.
fn halves(name: &str) -> Vec<String> {
    let middle = name.len() / 2;
    let breaks = name.match_indices(['/', '-', ' ']).map(|(at, _)| at + 1);
    let at = breaks.min_by_key(|at| at.abs_diff(middle));
    at.map_or_else(Vec::new, |at| vec![name[..at].trim_end().to_owned(), name[at..].to_owned()])
}

/// The functions of a part below its name, the largest in a corner, divided by fine lines.
fn cells(scene: &mut Scene, part: &Part, area: Area) {
    if area.width.min(area.height) < 2.0 * CELL_MIN || part.symbols.len() < 2 {
        return;
    }
    let mut weights: Vec<f64> = part.symbols.iter().take(CELLS_MAX).map(|(_, bytes)| *bytes as f64).collect();
    let rest = part.bytes as f64 - weights.iter().sum::<f64>();
    if rest > 0.0 {
        // What has no cell of its own is in the last one, whatever its size.
        weights.push(rest);
    }
    for (index, cell) in squarify(&weights, area).into_iter().enumerate() {
        if cell.width.min(cell.height) < CELL_MIN {
            continue;
        }
        let about = part.symbols.get(index).filter(|_| index < CELLS_MAX);
        let about = about.map(|(name, bytes)| format!("{name}: {} bytes", grouped(*bytes)));
        scene.marks.push(Mark::Outline { area: cell, colour: Colour::Paper, width: CELL_LINE, about });
    }
}

fn legend(scene: &mut Scene, size: &Size, top: f64) {
    let column = (WIDTH - 2.0 * MARGIN) / 2.0;
    for (index, group) in GROUPS.into_iter().enumerate() {
        let (x, y) = (MARGIN + column * (index % 2) as f64, top + LINE * (index / 2) as f64);
        scene.fill(Area::new(x, y + 3.0, SWATCH, SWATCH), colour(group));
        let bytes = size.group_bytes(group);
        let room = Area::new(x, y, column, LINE);
        let lettering = Lettering { colour: Colour::Text, anchor: "start", ..LABEL };
        scene.text(group.name(), (x + SWATCH + 3.0, y + LINE / 2.0), lettering, room);
        let share = Lettering { size: 9, anchor: "end", ..LABEL };
        let text = format!("{} {}", kib(bytes), percent(bytes, size.bytes));
        scene.text(&text, (room.right() - 6.0, y + LINE / 2.0), share, room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, group: Group, bytes: u64) -> Part {
        let symbols = (1..40).map(|index| (format!("f{index}"), bytes / 100)).collect();
        Part { name: name.to_owned(), group, bytes, symbols }
    }

    #[test]
    fn names_stand_where_they_have_room_and_areas_are_all_in_the_picture() {
        let parts = vec![
            part("kernel-app/hermit", Group::Modules, 300_000),
            part("smoltcp", Group::Crates, 200_000),
            part("hermit/scheduler", Group::Kernel, 60_000),
            part("constants and texts", Group::ReadOnly, 5_000),
            part("variables", Group::Data, 800),
            part("file headers", Group::Loader, 9),
        ];
        let size = Size { bytes: parts.iter().map(|part| part.bytes).sum(), symbol_count: 7, parts };
        let scene = draw("x", &size);
        assert_eq!(scene.flaws(), [""; 0]);
        let has = |name: &str| {
            scene.marks.iter().any(|mark| matches!(mark, Mark::Text { text, .. } if text == name))
        };
        assert!(has("kernel-app/hermit") && has("smoltcp") && !has("file headers"));
        assert_eq!(halves("tables with addresses"), ["tables with", "addresses"]);
        assert!(scene.title.contains("565,809 bytes"), "{}", scene.title);
    }
}
