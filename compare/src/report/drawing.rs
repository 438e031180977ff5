//! The marks that pictures are made of, as SVG: rectangles, lines and texts, in colours that have a meaning. Lengths
//! are in a picture's own units.
//!
//! Knows no charts. The pictures of `cargo image anatomy` consist of the same marks.

use maud::{Markup, html};

use super::labels;
use crate::record::Execution;
use crate::substrate::CANDIDATES;

/// The style sheet of reports, which has the colours, light and dark.
pub const STYLE: &str = include_str!("style.css");
/// Width of all pictures, so that their text is readable on a phone.
pub const WIDTH: f64 = 345.0;
/// How a text is set, centred on its line.
#[derive(Clone, Copy, Debug)]
pub struct Lettering {
    /// Its size in the picture's units.
    pub size: u8,
    /// Its colour.
    pub colour: Colour,
    /// Whether it is bold.
    pub bold: bool,
    /// SVG's `text-anchor`: which part of it is at its place.
    pub anchor: &'static str,
}

/// Of names.
pub const TEXT: Lettering = Lettering { size: 11, colour: Colour::Text, bold: false, anchor: "start" };
/// Of what explains.
pub const LABEL: Lettering = Lettering { size: 10, colour: Colour::Faint, bold: false, anchor: "middle" };

/// A text at a place, in the middle of its line.
pub fn text(text: &str, (x, y): (f64, f64), lettering: Lettering) -> Markup {
    let Lettering { size, colour, bold, anchor } = lettering;
    html! {
        text x=(short(x)) y=(short(y)) dy="0.35em" font-size=(size) fill=(colour.css())
            text-anchor=[(anchor != "start").then_some(anchor)] font-weight=[bold.then_some("bold")] { (text) }
    }
}

/// A filled rectangle between two corners.
pub fn rectangle((x, y): (f64, f64), (right, bottom): (f64, f64), colour: Colour, opacity: f64) -> Markup {
    html! {
        rect x=(short(x)) y=(short(y)) width=(short((right - x).max(0.0))) height=(short((bottom - y).max(0.0)))
            fill=(colour.css()) opacity=[(opacity < 1.0).then_some(opacity)] {}
    }
}

/// A line between two places.
pub fn line((x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: Colour) -> Markup {
    html! {
        line x1=(short(x1)) y1=(short(y1)) x2=(short(x2)) y2=(short(y2)) stroke=(colour.css()) {}
    }
}

/// A tenth of a unit is finer than anybody sees.
pub(super) fn short(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

/// Stages that have a colour of their own; later ones begin again.
const STAGES: usize = 6;

/// A colour by its meaning. The colours themselves, light and dark, are in `style.css`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Of text.
    Text,
    /// Of text that matters less.
    Faint,
    /// Of the lines of a grid.
    Grid,
    /// Of text on a colour.
    Paper,
    /// Behind the heading of what runs so.
    Heading(Execution),
    /// Of a stage of a start.
    Stage(usize),
    /// Of a substrate, by its place among all of them.
    Substrate(usize),
}

impl Colour {
    /// The colour of a substrate: the same in every chart of every report.
    pub fn of(substrate: &str) -> Self {
        let place = CANDIDATES.iter().position(|candidate| candidate.id == substrate);
        Self::Substrate(place.unwrap_or(CANDIDATES.len()))
    }

    /// The style sheet's variable, as a value of a style.
    pub fn css(self) -> String {
        match self {
            Self::Text => "var(--text)".to_owned(),
            Self::Faint => "var(--faint)".to_owned(),
            Self::Grid => "var(--grid)".to_owned(),
            Self::Paper => "var(--paper)".to_owned(),
            Self::Heading(execution) => format!("var(--{})", labels::execution(execution)),
            Self::Stage(stage) => format!("var(--stage-{})", stage % STAGES),
            Self::Substrate(place) => format!("var(--substrate-{place})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_is_in_the_style_sheet_light_and_dark() {
        let executions = [Execution::Emulated, Execution::Accelerated, Execution::Native];
        let all = [Colour::Text, Colour::Faint, Colour::Grid, Colour::Paper].into_iter();
        let all = all.chain(executions.map(Colour::Heading)).chain((0..STAGES).map(Colour::Stage));
        let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").expect("a dark block");
        for colour in all.chain((0..=CANDIDATES.len()).map(Colour::Substrate)) {
            let definition = colour.css().replace("var(", "").replace(')', ":");
            assert!(light.contains(&definition) && dark.contains(&definition), "no {definition}");
        }
    }
}
