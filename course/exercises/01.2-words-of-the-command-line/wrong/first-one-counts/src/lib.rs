//! The first word for a name wins, and blanks in quotes end a word.

/// The value that the line gives to a setting.
pub fn setting(line: &str, name: &str) -> Option<String> {
    let mut settings = line.split_whitespace().filter_map(|word| word.strip_prefix("env=")?.split_once('='));
    let (_, value) = settings.find(|(key, _)| *key == name)?;
    Some(value.to_owned())
}
