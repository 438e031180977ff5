//! A picture as a list of marks in units of its own, and the rules that keep it readable: each text has a room that it
//! does not leave, and no text lies on another one.
//!
//! Does not know what is drawn, nor into which file.

use compare::drawing::{Colour, Lettering, WIDTH};

/// Width of a letter as a share of its size, rather too much: the reader's machine chooses the font.
const LETTER_WIDTH: f64 = 0.58;
/// Height of a text as a share of its size.
const LETTER_HEIGHT: f64 = 1.15;
/// Space around a picture.
pub const MARGIN: f64 = 8.0;

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    /// Its left end.
    pub x: f64,
    /// Its upper end.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
}

/// Something that is drawn.
#[derive(Clone, Debug)]
pub enum Mark {
    /// A filled rectangle; what it is, for those who point at it.
    Fill { area: Area, colour: Colour, opacity: f64, about: Option<String> },
    /// The edges of a rectangle, so wide; what it is, for those who point at it.
    Outline { area: Area, colour: Colour, width: f64, about: Option<String> },
    /// A text, in the middle of its line, and the room that it must not leave.
    Text { text: String, at: (f64, f64), lettering: Lettering, room: Area },
    /// A line; with a head at its end where it is an arrow.
    Line { from: (f64, f64), to: (f64, f64), colour: Colour, is_dashed: bool, has_head: bool },
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its name in files.
    pub name: &'static str,
    /// What it shows, in a line.
    pub title: String,
    /// How it is to be read.
    pub how: &'static str,
    /// What is to be seen in it, for those who do not see it.
    pub description: String,
    /// Its height; its width is [`WIDTH`].
    pub height: f64,
    /// What it consists of; later marks lie on earlier ones.
    pub marks: Vec<Mark>,
}

impl Area {
    /// By its place and its size.
    pub fn new(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self { x, y, width, height }
    }

    /// Its right end.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// Its lower end.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// Without this much at each side.
    pub fn inset(&self, by: f64) -> Self {
        let less = |length: f64| (length - 2.0 * by).max(0.0);
        Self::new(self.x + by, self.y + by, less(self.width), less(self.height))
    }

    /// Whether another one lies in it, but for a hair.
    pub fn contains(&self, other: &Self) -> bool {
        const HAIR: f64 = 0.01;
        other.x >= self.x - HAIR
            && other.y >= self.y - HAIR
            && other.right() <= self.right() + HAIR
            && other.bottom() <= self.bottom() + HAIR
    }

    fn meets(&self, other: &Self) -> bool {
        self.x < other.right() && other.x < self.right() && self.y < other.bottom() && other.y < self.bottom()
    }
}

/// How wide a text may become.
pub fn text_width(text: &str, size: u8) -> f64 {
    text.chars().count() as f64 * f64::from(size) * LETTER_WIDTH
}

/// The first of some texts that fits a width.
pub fn fitting<'a>(texts: &[&'a str], size: u8, width: f64) -> Option<&'a str> {
    texts.iter().copied().find(|text| text_width(text, size) <= width)
}

/// A text in lines of at most this width, broken between words.
pub fn lines(text: &str, size: u8, width: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map(std::mem::take).unwrap_or_default();
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        let fits = line.is_empty() || text_width(&longer, size) <= width;
        let last = lines.len() - 1;
        lines[last] = if fits { longer } else { line };
        if !fits {
            lines.push(word.to_owned());
        }
    }
    lines
}

impl Scene {
    /// Nothing is drawn yet.
    pub fn new(name: &'static str, title: String, description: String) -> Self {
        Self { name, title, how: "", description, height: 0.0, marks: Vec::new() }
    }

    /// The whole picture.
    pub fn area(&self) -> Area {
        Area::new(0.0, 0.0, WIDTH, self.height)
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, area: Area, colour: Colour) {
        self.marks.push(Mark::Fill { area, colour, opacity: 1.0, about: None });
    }

    /// Draws a line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.marks.push(Mark::Line { from, to, colour, is_dashed: false, has_head: false });
    }

    /// Draws an arrow.
    pub fn arrow(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.marks.push(Mark::Line { from, to, colour, is_dashed: false, has_head: true });
    }

    /// Writes a text where there is room for it, whole or not at all.
    pub fn text(&mut self, text: &str, at: (f64, f64), lettering: Lettering, room: Area) {
        let text = text.to_owned();
        let mark = Mark::Text { text, at, lettering, room };
        if mark.text_area().is_some_and(|area| room.contains(&area)) {
            self.marks.push(mark);
        }
    }

    /// What is wrong with how it is laid out.
    pub fn flaws(&self) -> Vec<String> {
        let whole = self.area();
        let texts: Vec<(&Mark, Area)> =
            self.marks.iter().filter_map(|mark| Some((mark, mark.text_area()?))).collect();
        let mut flaws = Vec::new();
        for (index, (mark, area)) in texts.iter().enumerate() {
            let Mark::Text { text, room, .. } = mark else { continue };
            if !room.contains(area) || !whole.contains(area) {
                flaws.push(format!("{}: {text:?} leaves its room", self.name));
            }
            let other = texts[..index].iter().find(|(_, other)| other.meets(area));
            if let Some((Mark::Text { text: other, .. }, _)) = other {
                flaws.push(format!("{}: {text:?} lies on {other:?}", self.name));
            }
        }
        for mark in &self.marks {
            if let Mark::Fill { area, .. } = mark
                && !whole.contains(area)
            {
                flaws.push(format!("{}: {area:?} is not in the picture", self.name));
            }
        }
        flaws
    }
}

impl Mark {
    /// The area of a text.
    pub fn text_area(&self) -> Option<Area> {
        let Self::Text { text, at: (x, y), lettering, .. } = self else { return None };
        let (width, height) = (text_width(text, lettering.size), f64::from(lettering.size) * LETTER_HEIGHT);
        let left = match lettering.anchor {
            "middle" => x - width / 2.0,
            "end" => x - width,
            _ => *x,
        };
        Some(Area::new(left, y - height / 2.0, width, height))
    }
}

#[cfg(test)]
mod tests {
    use compare::drawing::{LABEL, TEXT};

    use super::*;

    #[test]
    fn a_text_is_written_whole_or_not_at_all() {
        let mut scene = Scene::new("a", String::new(), String::new());
        scene.height = 50.0;
        let room = Area::new(0.0, 0.0, 40.0, 20.0);
        scene.text("fits", (2.0, 10.0), TEXT, room);
        scene.text("does not fit", (2.0, 10.0), TEXT, room);
        assert_eq!(scene.marks.len(), 1);
        assert!(scene.flaws().is_empty());
        scene.text("too", (2.0, 12.0), LABEL, scene.area().inset(-20.0));
        assert_eq!(scene.flaws().len(), 2, "it lies on the other one, and reaches out: {:?}", scene.flaws());
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(lines("one two three", 10, 45.0), ["one two", "three"]);
        assert_eq!(lines("", 10, 45.0), [""]);
        assert_eq!(fitting(&["long text", "short"], 10, 40.0), Some("short"));
    }
}
