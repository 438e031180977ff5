//! What the judge says: one line.

use std::io;

use image_build::tool::output;

/// Longest fault that is told, in characters.
const CHARS_MAX: usize = 700;
/// Colours, as codes of ECMA-48.
const GREEN: u8 = 32;
const RED: u8 = 31;
const YELLOW: u8 = 33;

/// What is wrong with a work, in one sentence: `expected ...; came ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    /// Something else came than was expected.
    pub fn new(expected: impl AsRef<str>, came: impl AsRef<str>) -> Self {
        Self::told(&format!("expected {}; came {}", expected.as_ref().trim(), came.as_ref().trim()))
    }

    /// In the words of somebody else, made one line.
    pub fn told(words: &str) -> Self {
        let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = lines.collect::<Vec<_>>().join(" ");
        let shown: String = line.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect();
        let is_cut = shown.len() < line.len() && shown.chars().count() == CHARS_MAX;
        Self(if is_cut { shown + " ..." } else { shown })
    }
}

/// What the judge finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The work is right.
    Done,
    /// It is not, and where to read about it.
    NotYet(Fault, String),
    /// Something that is not the work keeps it from being judged.
    Unjudged(Fault),
}

impl Verdict {
    /// The line about an exercise of this name.
    pub fn line(&self, name: &str, style: Style) -> String {
        match self {
            Self::Done => format!("{name}: {}", style.colour(GREEN, "done")),
            Self::NotYet(fault, read) => {
                let colon = if read.is_empty() { String::new() } else { format!("; read {read}") };
                format!("{name}: {}: {}{colon}", style.colour(RED, "not yet"), fault.0)
            }
            Self::Unjudged(fault) => {
                format!("{name}: {}: {}", style.colour(YELLOW, "cannot be judged"), fault.0)
            }
        }
    }
}

/// Whether text may have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// It is for a terminal.
    Coloured,
    /// It is for a file or a pipe.
    Plain,
}

impl Style {
    /// The style of this process's standard output.
    pub fn of_output() -> Self {
        if output::is_coloured(&io::stdout()) { Self::Coloured } else { Self::Plain }
    }

    /// Text in the colour of something that is well.
    pub fn good(self, text: &str) -> String {
        self.colour(GREEN, text)
    }

    /// Text in the colour of something that is not well.
    pub fn bad(self, text: &str) -> String {
        self.colour(RED, text)
    }

    fn colour(self, code: u8, text: &str) -> String {
        match self {
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_one_line_without_foreign_control_characters() {
        let fault = Fault::new("26 bytes\n", "\u{1b}[31m24\r\nand more");
        let line = Verdict::NotYet(fault, "a.md#b".to_owned()).line("06.1 layout", Style::Plain);
        assert_eq!(line, "06.1 layout: not yet: expected 26 bytes; came [31m24 and more; read a.md#b");
        let long = Verdict::Unjudged(Fault::told(&"x".repeat(5000))).line("n", Style::Plain);
        assert!(long.len() < CHARS_MAX + 50 && long.ends_with("x ..."), "{long}");
    }

    #[test]
    fn only_a_terminal_gets_colours() {
        assert_eq!(Verdict::Done.line("n", Style::Plain), "n: done");
        assert_eq!(Verdict::Done.line("n", Style::Coloured), "n: \u{1b}[32mdone\u{1b}[0m");
    }
}
