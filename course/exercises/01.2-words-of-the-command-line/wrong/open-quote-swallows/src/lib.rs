//! A quote that is left open swallows the rest of the line.

/// The value that the line gives to a setting.
pub fn setting(line: &str, name: &str) -> Option<String> {
    let (mut words, mut open) = (vec![String::new()], None);
    for c in line.chars() {
        match open {
            Some(quote) if quote == c => open = None,
            None if c == '\'' || c == '"' => open = Some(c),
            None if c.is_ascii_whitespace() => words.push(String::new()),
            _ => words.last_mut()?.push(c),
        }
    }
    let settings = words.iter().filter_map(|word| word.strip_prefix("env=")?.split_once('='));
    let (_, value) = settings.filter(|(key, _)| *key == name).last()?;
    Some(value.to_owned()).filter(|value| !value.is_empty())
}
