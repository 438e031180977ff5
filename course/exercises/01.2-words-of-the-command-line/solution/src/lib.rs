//! A solution of exercise 1.2: first the words, then what they say.

/// The value that the line gives to a setting; none if there is none, or if it was unset.
pub fn setting(line: &str, name: &str) -> Option<String> {
    let mut value = None;
    for word in words(line) {
        let Some((key, found)) = word.strip_prefix("env=").and_then(|word| word.split_once('=')) else { continue };
        if key == name {
            value = Some(found.to_owned());
        }
    }
    value.filter(|value| !value.is_empty())
}

/// The words of a line, without their quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = after;
        if matches!(c, '\'' | '"')
            && let Some((quoted, behind)) = after.split_once(c)
        {
            word.push_str(quoted);
            rest = behind;
        } else if c.is_ascii_whitespace() {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(c);
        }
    }
    words.push(word);
    words
}
