//! What a guest says, as lines or as JSON.

use anyhow::{Result, bail};
use cluster::log::entry::Entry;
use cluster::log::file::{Line, now_ms};
use image_build::tool::output::print_bytes;

use crate::settings::FORMAT;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As the guest says them.
    Text,
    /// An object for each, like those of `cargo logs --json`.
    Json,
}

impl Format {
    /// The one that the environment asks for.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn chosen(asked: Option<&str>) -> Result<Self> {
        match asked {
            None | Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            Some(other) => bail!("{FORMAT}={other:?} cannot be used: give text or json"),
        }
    }

    /// Writes a line of the guest's.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn print(self, name: &str, line: &[u8]) -> Result<()> {
        match self {
            Self::Text => Ok(print_bytes(line)?),
            Self::Json => {
                let text = String::from_utf8_lossy(line).trim().to_owned();
                if text.is_empty() {
                    return Ok(());
                }
                let mut object = serde_json::to_vec(&Entry::new(name, &Line { at_ms: now_ms(), text }))?;
                object.push(b'\n');
                Ok(print_bytes(&object)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_text_unless_json_is_asked_for() {
        assert_eq!(Format::chosen(None).expect("text"), Format::Text);
        assert_eq!(Format::chosen(Some("json")).expect("json"), Format::Json);
        let error = Format::chosen(Some("xml")).expect_err("unknown").to_string();
        assert_eq!(error, "LOG_FORMAT=\"xml\" cannot be used: give text or json");
    }
}
