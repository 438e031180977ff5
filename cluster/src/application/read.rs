//! Reads a description: text in, a checked application out, or an error with its place.

use std::fmt;

use crate::application::check;
use crate::application::description::{Application, FILE_BYTES_MAX};
use crate::application::locate::Locator;

/// Something wrong in the description: where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationError {
    /// Name of the file.
    pub file: String,
    /// Line, from 1; absent when it concerns the file as a whole.
    pub line: Option<usize>,
    /// Dotted path of the key; empty at the top level.
    pub key: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl fmt::Display for ApplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ApplicationError {}

impl Application {
    /// Reads and checks a description; `file` names it in errors, `images` are those that can be built.
    ///
    /// # Errors
    /// With file, line, key and remedy, for the first thing that is wrong.
    pub fn parse(file: &str, text: &str, images: &[&str]) -> Result<Self, ApplicationError> {
        let fail = |line, key, message| ApplicationError { file: file.to_owned(), line, key, message };
        if text.len() > FILE_BYTES_MAX {
            let message = format!("is {} bytes long: keep it under {FILE_BYTES_MAX}", text.len());
            return Err(fail(None, String::new(), message));
        }
        let locator = Locator::new(text);
        let mut application: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map(|span| span.start);
            let key = offset.map(|offset| locator.key_at(offset)).unwrap_or_default();
            fail(offset.map(|offset| locator.line(offset)), key, one_line(error.message()))
        })?;
        application.join_default_network();
        check::check(&application, images).map_err(|fault| {
            fail(locator.line_of(&fault.path), fault.path.join("."), fault.message.clone())
        })?;
        for (name, service) in &mut application.services {
            service.line = locator.line_of(&["services".to_owned(), name.clone()]).unwrap_or(0);
        }
        Ok(application)
    }
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
