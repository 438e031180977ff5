//! The names of colours below a chart, as many in a line as have room.

use anyhow::Result;

use super::canvas::{self, Area, Lettering, WIDTH};
use super::ink::Ink;

const LINE: i32 = 16;
const BELOW: i32 = 8;
const MARGIN: i32 = 6;
const SWATCH: i32 = 16;
/// Between a colour and its name, and between names.
const GAP: i32 = 5;
const BETWEEN: i32 = 12;
/// Width of a letter in tenths, rather too much: the page chooses the font.
const LETTER_TENTHS: i32 = 60;

/// A colour, its name, and whether it stands for a dashed line.
pub type Key<'a> = (Ink, &'a str, bool);

/// Height that these names need.
pub fn height<'a>(names: impl Iterator<Item = &'a str>) -> i32 {
    places(names).last().map_or(0, |(_, top)| top + LINE) + BELOW
}

/// Draws names with their colours.
///
/// # Errors
/// When plotters cannot draw them.
pub fn draw<'a>(area: &Area, keys: impl Iterator<Item = Key<'a>> + Clone) -> Result<()> {
    let places = places(keys.clone().map(|(_, name, _)| name));
    for ((ink, name, dashed), (left, top)) in keys.zip(places) {
        let (right, middle) = (left + SWATCH, top + LINE / 2);
        let spans = if dashed { vec![(left, left + 6), (right - 6, right)] } else { vec![(left, right)] };
        for (from, to) in spans {
            canvas::rectangle(area, (from, middle - 4), (to, middle + 4), ink, 1.0)?;
        }
        canvas::text(area, name, (right + GAP, middle), Lettering::new(10))?;
    }
    Ok(())
}

/// Where each name begins: its left end and the top of its line.
fn places<'a>(names: impl Iterator<Item = &'a str>) -> Vec<(i32, i32)> {
    let (mut left, mut top) = (MARGIN, 0);
    let place = |name: &str| {
        let letters = i32::try_from(name.chars().count()).unwrap_or(0);
        let width = SWATCH + GAP + letters * LETTER_TENTHS / 10;
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
        assert_eq!(
            places(["short", "short"].into_iter()).iter().map(|(_, top)| *top).collect::<Vec<_>>(),
            [0, 0]
        );
        assert_eq!(places([long, long].into_iter()), [(MARGIN, 0), (MARGIN, LINE)]);
        assert_eq!(height([long, long].into_iter()), 2 * LINE + BELOW);
    }
}
