//! Colours for a terminal; none if there is no terminal or if the user wants none.

use image_build::tool::output;

/// Whether text may carry colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// It is for a terminal.
    Coloured,
    /// It is for a file, a pipe or a reader who wants none.
    Plain,
}

/// Colours of instances, as codes of ECMA-48: readable on dark and on light ground.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];
const GREEN: u8 = 32;
const RED: u8 = 31;
const BOLD: u8 = 1;
const DIM: u8 = 2;

impl Style {
    /// The style for this process' standard output.
    pub fn of_output() -> Self {
        if output::is_coloured(&std::io::stdout()) { Self::Coloured } else { Self::Plain }
    }

    /// Text in the colour of the instance with this place.
    pub fn instance(self, index: usize, text: &str) -> String {
        self.wrap(COLOURS[index % COLOURS.len()], text)
    }

    /// Text that stands out.
    pub fn bold(self, text: &str) -> String {
        self.wrap(BOLD, text)
    }

    /// Text that stands back.
    pub fn dim(self, text: &str) -> String {
        self.wrap(DIM, text)
    }

    /// Text about something that is well.
    pub fn good(self, text: &str) -> String {
        self.wrap(GREEN, text)
    }

    /// Text about something that is not.
    pub fn bad(self, text: &str) -> String {
        self.wrap(RED, text)
    }

    fn wrap(self, code: u8, text: &str) -> String {
        match self {
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}
