//! One command of a stream: on which connection, its arguments, how they are sent.

use std::fmt;

use crate::redis::request;

/// Connections of a stream.
pub const CONNECTIONS: usize = 4;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which connection sends it.
    pub connection: usize,
    /// Its name and arguments.
    pub args: Vec<Vec<u8>>,
    /// Sent as a line of words instead of an array.
    pub inline: bool,
}

impl Step {
    /// Its name in lower case.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.args[0]).to_ascii_lowercase()
    }

    /// An argument as lower-case text; empty when there is none.
    pub fn word(&self, at: usize) -> String {
        self.args.get(at).map(|word| String::from_utf8_lossy(word).to_ascii_lowercase()).unwrap_or_default()
    }

    /// Its bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        if self.inline { inline(&self.args) } else { request(&self.args) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ARGUMENT_BYTES_SHOWN: usize = 80;
        write!(f, "[{}]{}", self.connection, if self.inline { " (inline)" } else { "" })?;
        for argument in &self.args {
            write!(f, " \"{}\"", argument[..argument.len().min(ARGUMENT_BYTES_SHOWN)].escape_ascii())?;
            if argument.len() > ARGUMENT_BYTES_SHOWN {
                write!(f, "...({} bytes)", argument.len())?;
            }
        }
        Ok(())
    }
}

/// A line whose words are quoted where they need it, as `sdssplitargs` of Redis reads it.
fn inline(args: &[Vec<u8>]) -> Vec<u8> {
    let mut line = Vec::new();
    for argument in args {
        let plain = !argument.is_empty() && argument.iter().all(u8::is_ascii_alphanumeric);
        if plain {
            line.extend_from_slice(argument);
        } else {
            line.push(b'"');
            argument.iter().for_each(|byte| line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()));
            line.push(b'"');
        }
        line.push(b' ');
    }
    line.extend_from_slice(b"\r\n");
    line
}
