//! The names of colours below a chart, in two columns.

use anyhow::Result;

use super::canvas::{self, Area, Lettering, WIDTH};
use super::ink::Ink;

const LINE: i32 = 16;
const BELOW: i32 = 8;
const MARGIN: i32 = 6;
const SWATCH: i32 = 16;

/// Height that so many names need.
pub fn height(names: usize) -> i32 {
    LINE * i32::try_from(names.div_ceil(2)).unwrap_or(0) + BELOW
}

/// Draws names with their colours; of lines, whether they are dashed.
///
/// # Errors
/// When plotters cannot draw them.
pub fn draw<'a>(area: &Area, names: impl Iterator<Item = (Ink, &'a str, bool)>) -> Result<()> {
    for (index, (ink, name, dashed)) in names.enumerate() {
        let index = i32::try_from(index)?;
        let (left, middle) = (MARGIN + index % 2 * (WIDTH / 2), LINE * (index / 2) + LINE / 2);
        let (top, bottom) = (middle - 4, middle + 4);
        if dashed {
            canvas::rectangle(area, (left, top), (left + 6, bottom), ink, 1.0)?;
            canvas::rectangle(area, (left + 10, top), (left + SWATCH, bottom), ink, 1.0)?;
        } else {
            canvas::rectangle(area, (left, top), (left + SWATCH, bottom), ink, 1.0)?;
        }
        canvas::text(area, name, (left + SWATCH + 5, middle), Lettering::new(10))?;
    }
    Ok(())
}
