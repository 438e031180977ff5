//! What charts have in common beyond single marks: headings, legends, whiskers and curves.

use maud::{Markup, html};

use super::data::Item;
use crate::record::Execution;
use crate::report::drawing::{Colour, short};
use crate::report::labels;

pub use crate::report::drawing::{LABEL, Lettering, TEXT, WIDTH, line, rectangle, text};

/// Height of a panel's heading.
pub const HEADING: f64 = 24.0;

/// From the least to the largest value, with a cap at each end; none where they are the same.
pub fn whisker(low: (f64, f64), high: (f64, f64), half_cap: f64) -> Markup {
    let is_flat = (low.1 - high.1).abs() < f64::EPSILON;
    let (x, y) = if is_flat { (0.0, half_cap) } else { (half_cap, 0.0) };
    html! {
        @if low != high {
            (line(low, high, Colour::Text))
            @for end in [low, high] { (line((end.0 - x, end.1 - y), (end.0 + x, end.1 + y), Colour::Text)) }
        }
    }
}

pub fn curve(points: impl Iterator<Item = (f64, f64)>, colour: Colour, dashed: bool) -> Markup {
    let points: Vec<String> = points.map(|(x, y)| format!("{},{}", short(x), short(y))).collect();
    html! { polyline points=(points.join(" ")) stroke=(colour.css()) class=[dashed.then_some("dashed")] {} }
}

/// The heading of what runs so.
pub fn heading(execution: Execution, remark: &str) -> Markup {
    let label = labels::execution(execution).to_uppercase() + remark;
    html! {
        (rectangle((0.0, 3.0), (WIDTH, HEADING - 3.0), Colour::Heading(execution), 1.0))
        (text(&label, (6.0, HEADING / 2.0), Lettering { bold: true, ..TEXT }))
    }
}

const LINE: f64 = 16.0;
const BELOW: f64 = 8.0;
const MARGIN: f64 = 6.0;
const SWATCH: f64 = 16.0;
/// Between a colour and its name, and between names.
const GAP: f64 = 5.0;
const BETWEEN: f64 = 12.0;
/// Width of a letter, rather too much: the page chooses the font.
const LETTER: f64 = 6.0;

/// Height of the names of some items.
pub fn legend_height<T>(items: &[Item<T>]) -> f64 {
    places(items.iter().map(|item| item.name.as_str())).last().map_or(0.0, |(_, top)| top + LINE) + BELOW
}

/// The names of items with their colours, as many in a line as have room; with dashes for what is dashed.
pub fn legend<T>(items: &[Item<T>], top: f64, with_dashes: bool) -> Markup {
    let places = places(items.iter().map(|item| item.name.as_str()));
    html! {
        @for (item, (left, below)) in items.iter().zip(places) {
            @let (right, middle) = (left + SWATCH, top + below + LINE / 2.0);
            @let (whole, dashes) = ([(left, right)], [(left, left + 6.0), (right - 6.0, right)]);
            @let spans = if with_dashes && item.dashed { &dashes[..] } else { &whole[..] };
            @for (from, to) in spans { (rectangle((*from, middle - 4.0), (*to, middle + 4.0), item.colour, 1.0)) }
            (text(&item.name, (right + GAP, middle), Lettering { size: 10, ..TEXT }))
        }
    }
}

/// Where each name begins: its left end and the top of its line.
fn places<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(f64, f64)> {
    let (mut left, mut top) = (MARGIN, 0.0);
    let place = |name: &str| {
        let width = SWATCH + GAP + name.chars().count() as f64 * LETTER;
        if left > MARGIN && left + width > WIDTH {
            (left, top) = (MARGIN, top + LINE);
        }
        let place = (left, top);
        left += width + BETWEEN;
        place
    };
    names.map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_have_no_room_beside_each_other_are_below_each_other() {
        let long = "a name that takes more than half of the width";
        assert!(places(["short", "short"].into_iter()).iter().all(|(_, top)| *top == 0.0));
        assert_eq!(places([long, long].into_iter()), [(MARGIN, 0.0), (MARGIN, LINE)]);
    }

    #[test]
    fn a_whisker_has_its_caps_across_and_is_left_out_where_it_has_no_length() {
        let upright = whisker((5.0, 9.0), (5.0, 1.0), 2.0).into_string();
        assert!(upright.contains(r#"<line x1="3" y1="9" x2="7" y2="9""#), "{upright}");
        assert_eq!(whisker((5.0, 9.0), (5.0, 9.0), 2.0).into_string(), "");
    }
}
