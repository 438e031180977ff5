//! Colours by their meaning. A chart is drawn in stand-ins, which the page's style sheet gives colours.
//!
//! The colours themselves, light and dark, are in `html/style.css`.

use plotters::style::RGBColor;

use crate::substrate::CANDIDATES;

/// First two bytes of a stand-in; the third says which.
const MARK: (u8, u8) = (0x5a, 0xc3);
/// Stages that have a colour of their own; later ones begin again.
pub const STAGES: usize = 6;

/// A colour's meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Text.
    Text,
    /// Text that matters less.
    Faint,
    /// Lines of a grid.
    Grid,
    /// What is drawn on; for text on a colour.
    Paper,
    /// Behind the heading of what is emulated.
    Emulated,
    /// Behind the heading of what is accelerated.
    Accelerated,
    /// Behind the heading of what is native.
    Native,
    /// A stage of a start.
    Stage(usize),
    /// A substrate, by its place among all of them.
    Substrate(usize),
}

impl Ink {
    /// The colour of a substrate: the same in every chart of every report.
    pub fn of(substrate: &str) -> Self {
        let place = CANDIDATES.iter().position(|candidate| candidate.id == substrate);
        Self::Substrate(place.unwrap_or(CANDIDATES.len()))
    }

    /// The style sheet's name for it.
    pub fn variable(self) -> String {
        match self {
            Self::Text => "--text".to_owned(),
            Self::Faint => "--faint".to_owned(),
            Self::Grid => "--grid".to_owned(),
            Self::Paper => "--paper".to_owned(),
            Self::Emulated => "--emulated".to_owned(),
            Self::Accelerated => "--accelerated".to_owned(),
            Self::Native => "--native".to_owned(),
            Self::Stage(stage) => format!("--stage-{}", stage % STAGES),
            Self::Substrate(place) => format!("--substrate-{place}"),
        }
    }

    fn number(self) -> u8 {
        let (base, place) = match self {
            Self::Text => (0, 0),
            Self::Faint => (1, 0),
            Self::Grid => (2, 0),
            Self::Emulated => (3, 0),
            Self::Accelerated => (4, 0),
            Self::Native => (5, 0),
            Self::Paper => (6, 0),
            Self::Stage(stage) => (16, stage % STAGES),
            Self::Substrate(place) => (32, place),
        };
        u8::try_from(base + place).unwrap_or(u8::MAX)
    }

    fn all() -> impl Iterator<Item = Self> {
        let single = [Self::Text, Self::Faint, Self::Grid, Self::Paper];
        let single = single.into_iter().chain([Self::Emulated, Self::Accelerated, Self::Native]);
        let stages = (0..STAGES).map(Self::Stage);
        single.chain(stages).chain((0..=CANDIDATES.len()).map(Self::Substrate))
    }
}

impl From<Ink> for RGBColor {
    fn from(ink: Ink) -> Self {
        Self(MARK.0, MARK.1, ink.number())
    }
}

/// An SVG with the style sheet's variables in place of the stand-ins.
pub fn in_page_colours(svg: &str) -> String {
    let mark = format!("\"#{:02X}{:02X}", MARK.0, MARK.1);
    let mut parts = svg.split(&mark);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (number, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        let number = u8::from_str_radix(number, 16).unwrap_or(0);
        let ink = Ink::all().find(|ink| ink.number() == number).unwrap_or(Ink::Text);
        text.push_str(&format!("\"var({})", ink.variable()));
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_has_a_stand_in_of_its_own_and_a_variable_in_the_style_sheet() {
        let numbers: std::collections::BTreeSet<u8> = Ink::all().map(Ink::number).collect();
        assert_eq!(numbers.len(), Ink::all().count());
        let style = include_str!("../html/style.css");
        let (light, dark) = style.split_once("prefers-color-scheme: dark").expect("a dark block");
        for ink in Ink::all() {
            let definition = format!("{}:", ink.variable());
            assert!(light.contains(&definition) && dark.contains(&definition), "no {definition}");
        }
    }

    #[test]
    fn stand_ins_become_variables() {
        let RGBColor(red, green, blue) = Ink::of("native").into();
        let svg = format!("<rect fill=\"#{red:02X}{green:02X}{blue:02X}\" stroke=\"none\"/>");
        let place = CANDIDATES.iter().position(|candidate| candidate.id == "native").expect("native");
        let expected = format!("<rect fill=\"var(--substrate-{place})\" stroke=\"none\"/>");
        assert_eq!(in_page_colours(&svg), expected);
    }
}
