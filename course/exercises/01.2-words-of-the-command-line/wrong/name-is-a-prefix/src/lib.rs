//! A name that begins another one is taken for it.

/// The value that the line gives to a setting.
pub fn setting(line: &str, name: &str) -> Option<String> {
    let words = line.split_whitespace().filter_map(|word| word.strip_prefix("env="));
    let word = words.filter(|word| word.starts_with(name)).next_back()?;
    let (_, value) = word.split_once('=')?;
    Some(value.to_owned()).filter(|value| !value.is_empty())
}
