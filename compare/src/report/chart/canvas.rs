//! The sheet that a chart is drawn on, and its text.
//!
//! Knows nothing of what a chart says.

use anyhow::{Context as _, Result};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, IntoTextStyle, RGBColor, ShapeStyle, TextStyle};

use super::ink::{self, Ink};
use super::{Panel, labels};
use crate::substrate::Execution;

/// Width of all charts, so that their text is readable on a phone.
pub const WIDTH: i32 = 345;
/// Height of a panel's heading.
pub const HEADING: i32 = 24;
/// Plotters' coordinates are whole numbers: so many of them make one of a chart's.
const FINENESS: i32 = 16;
/// What plotters divides a font's size by.
const FONT_SCALE: f64 = 1.24;

/// A sheet, or a part of it.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What is said of a chart to those who do not see it.
#[derive(Clone, Debug)]
pub struct Caption {
    /// What it shows.
    pub title: String,
    /// How it shows it.
    pub description: String,
}

/// A chart of the given height, drawn by `paint`.
///
/// # Errors
/// When plotters cannot draw it.
pub fn draw(caption: &Caption, height: i32, paint: impl FnOnce(&Area) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    let size = (to_fine(WIDTH).unsigned_abs(), to_fine(height).unsigned_abs());
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&area)?;
        area.present().context("a chart cannot be finished")?;
    }
    // The head is written anew: a page's SVG needs no name space and is as wide as there is room.
    let (_, body) = svg.split_once('>').context("plotters made no SVG")?;
    let head = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\"><title>{}</title><desc>{}</desc>",
        size.0,
        size.1,
        escaped(&caption.title),
        escaped(&caption.description)
    );
    Ok(head + &ink::in_page_colours(&without_defaults(body)))
}

/// Draws panels below each other, each under its heading.
///
/// # Errors
/// When plotters cannot draw them.
pub fn panels<T>(
    caption: &Caption,
    panels: &[Panel<T>],
    height: impl Fn(&Panel<T>) -> i32,
    paint: impl Fn(&Area, &Panel<T>) -> Result<()>,
) -> Result<String> {
    let whole = panels.iter().map(|panel| HEADING + height(panel)).sum();
    draw(caption, whole, |area| {
        let mut rest = area.clone();
        for panel in panels {
            let (heading, below) = rest.split_vertically(to_fine(HEADING));
            let (body, after) = below.split_vertically(to_fine(height(panel)));
            draw_heading(&heading, panel.execution, &panel.heading())?;
            paint(&body, panel)?;
            rest = after;
        }
        Ok(())
    })
}

fn draw_heading(area: &Area, execution: Execution, heading: &str) -> Result<()> {
    let ink = match execution {
        Execution::Emulated => Ink::Emulated,
        Execution::Accelerated => Ink::Accelerated,
        Execution::Native => Ink::Native,
    };
    rectangle(area, (0, 3), (WIDTH, HEADING - 3), ink, 1.0)?;
    text(area, heading, (6, HEADING / 2), Lettering { bold: true, ..Lettering::new(11) })
}

/// Attributes that say what is so without them; they are a third of a chart.
const DEFAULTS: [&str; 3] = [" opacity=\"1\"", " stroke=\"none\"", " font-family=\"sans-serif\""];

fn without_defaults(svg: &str) -> String {
    DEFAULTS.iter().fold(svg.to_owned(), |svg, default| svg.replace(default, ""))
}

/// How a text is set.
#[derive(Clone, Copy)]
pub struct Lettering {
    /// Height.
    pub size: i32,
    /// Colour.
    pub ink: Ink,
    /// Whether it is bold.
    pub bold: bool,
    /// Which of its ends is at the given place.
    pub anchor: HPos,
}

impl Lettering {
    /// Plain text that begins at its place.
    pub fn new(size: i32) -> Self {
        Self { size, ink: Ink::Text, bold: false, anchor: HPos::Left }
    }

    /// Text for what matters less.
    pub fn faint(size: i32) -> Self {
        Self { ink: Ink::Faint, ..Self::new(size) }
    }

    /// The same, ending or centred at its place.
    pub fn at(self, anchor: HPos) -> Self {
        Self { anchor, ..self }
    }
}

/// Plotters' style of a text, centred on its line.
pub fn style(lettering: Lettering) -> TextStyle<'static> {
    let size = f64::from(to_fine(lettering.size)) * FONT_SCALE;
    let weight = if lettering.bold { FontStyle::Bold } else { FontStyle::Normal };
    let font = ("sans-serif", size).into_font().style(weight);
    let colour = RGBColor::from(lettering.ink);
    font.with_color(colour)
        .with_anchor::<RGBColor>(Pos::new(lettering.anchor, VPos::Center))
        .into_text_style(&(1, 1))
}

/// Writes a text at a place of a chart.
///
/// # Errors
/// When plotters cannot.
pub fn text(area: &Area, text: &str, at: (i32, i32), lettering: Lettering) -> Result<()> {
    let at = (to_fine(at.0), to_fine(at.1));
    area.draw(&Text::new(text.to_owned(), at, style(lettering))).context("a chart's text cannot be drawn")
}

/// Fills a rectangle.
///
/// # Errors
/// When plotters cannot.
pub fn rectangle(area: &Area, from: (i32, i32), to: (i32, i32), ink: Ink, opacity: f64) -> Result<()> {
    let corners = [(to_fine(from.0), to_fine(from.1)), (to_fine(to.0), to_fine(to.1))];
    let rectangle = Rectangle::new(corners, RGBColor::from(ink).mix(opacity).filled());
    area.draw(&rectangle).context("a rectangle cannot be drawn")
}

/// A line of so many tenths of a chart's unit.
pub fn stroke(ink: Ink, tenths: i32) -> ShapeStyle {
    RGBColor::from(ink).stroke_width((to_fine(tenths) / 10).unsigned_abs())
}

/// A chart's units in plotters'.
pub fn to_fine(units: i32) -> i32 {
    units * FINENESS
}

/// What is inside an element, without marks that end it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How a panel's heading names what runs it, for a description.
pub fn described<T>(panels: &[Panel<T>]) -> String {
    let names: Vec<&str> = panels.iter().map(|panel| labels::execution(panel.execution)).collect();
    names.join(", then ")
}
