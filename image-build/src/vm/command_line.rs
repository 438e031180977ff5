//! The guest kernel's command line: clock rate, environment and arguments as quoted words.
//!
//! The kernel splits it as a POSIX shell does, and panics on an open quote. So every word is quoted here, and none is
//! passed through as text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use wire::postgres::password;

/// Longest command line: QEMU's PVH firmware copies it to a buffer of 4 KiB with its final zero.
pub const BYTES_MAX: usize = 4095;
/// The setting with a database's password, which guests cannot prepare.
const RESULTS_SETTING: &str = "RESULTS_URL";

/// Environment and arguments of the program in a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Settings by name.
    pub environment: BTreeMap<String, String>,
    /// Arguments after the program's name.
    pub arguments: Vec<String>,
}

impl CommandLine {
    /// A command line with these settings and no arguments.
    pub fn from_environment<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let environment = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { environment, arguments: Vec::new() }
    }

    /// The settings with their values as a guest needs them.
    pub fn passed(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), passed(name, value)))
    }

    /// The words as one text, with the rate of the time stamp counter in MHz where it is known.
    ///
    /// # Errors
    /// When a name cannot be a setting's name, or the text is longer than [`BYTES_MAX`].
    pub fn render(&self, mhz: Option<u16>) -> Result<String> {
        let mut words = Vec::new();
        if let Some(mhz) = mhz {
            words.extend(["-freq".to_owned(), mhz.to_string()]);
        }
        for (name, value) in self.passed() {
            ensure!(is_name(name), "{name:?} cannot be the name of a setting: use letters, digits and _");
            ensure!(!value.contains('\0'), "{name} cannot hold a zero byte");
            words.push(shell_words::quote(&format!("env={name}={value}")).into_owned());
        }
        for argument in &self.arguments {
            ensure!(!argument.contains('\0'), "the argument {argument:?} cannot hold a zero byte");
        }
        if !self.arguments.is_empty() {
            words.push("--".to_owned());
            words.extend(self.arguments.iter().map(|word| shell_words::quote(word).into_owned()));
        }
        let text = words.join(" ");
        ensure!(
            text.len() <= BYTES_MAX,
            "the guest's settings take {} bytes of {BYTES_MAX}: make them shorter",
            text.len()
        );
        Ok(text)
    }
}

/// A setting's value as a guest needs it.
fn passed<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if name == RESULTS_SETTING { password::prepared_url(value) } else { value.into() }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_went_in() {
        let values =
            ["Cats", "Cats & Dogs", "it's", "a\"b\\c", "$HOME `x`", "#no comment", "", "Größe\n2", "a=b"];
        for value in values {
            let mut line = CommandLine::from_environment([("OPTION_A", value)]);
            line.arguments = vec![value.to_owned()];
            let text = line.render(Some(3000)).expect("a line that can be passed");
            let expected =
                ["-freq", "3000", &format!("env=OPTION_A={value}"), "--", value].map(str::to_owned);
            assert_eq!(shell_words::split(&text).expect("quotes match"), expected, "{text}");
        }
    }

    #[test]
    fn a_databases_password_is_prepared_for_guests() {
        let url = "postgres://u:o\u{fb03}ce@h/votes";
        let line = CommandLine::from_environment([("RESULTS_URL", url), ("OPTION_A", url)]);
        let text = line.render(None).expect("a line that can be passed");
        let words = shell_words::split(&text).expect("quotes match");
        let prepared = "env=RESULTS_URL=postgres://u:%6F%66%66%69%63%65@h/votes".to_owned();
        assert_eq!(words, [format!("env=OPTION_A={url}"), prepared]);
    }

    #[test]
    fn an_empty_message_is_an_empty_line() {
        assert_eq!(CommandLine::default().render(None).expect("empty"), "");
    }

    #[test]
    fn bad_names_and_long_lines_are_refused() {
        for name in ["", "A-B", "1A", "A B", "A=B"] {
            let line = CommandLine::from_environment([(name, "x")]);
            assert!(line.render(None).is_err(), "{name:?}");
        }
        let zero = CommandLine { arguments: vec!["a\0b".to_owned()], ..CommandLine::default() };
        assert!(zero.render(None).is_err());
        let long = CommandLine::from_environment([("A", "x".repeat(BYTES_MAX))]);
        let error = long.render(None).expect_err("too long").to_string();
        assert!(error.contains("4103 bytes of 4095"), "{error}");
    }
}
