//! Words of a line: split and freed of their quotes, and quoted again.

use alloc::string::String;

/// Characters that a backslash keeps from their meaning between double quotes.
const ESCAPED: [char; 4] = ['"', '\\', '$', '`'];

/// The words of a line that are left.
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    /// Puts the next word into `word`; whether there was one.
    pub fn next(&mut self, word: &mut String) -> bool {
        word.clear();
        self.rest = self.rest.trim_start_matches(is_blank);
        let is_there = !self.rest.is_empty();
        let mut chars = self.rest.chars();
        while let Some(char) = chars.next().filter(|char| !is_blank(*char)) {
            let behind = chars.as_str();
            let end = match char {
                '\'' => behind.find('\''),
                '"' => closing_quote(behind),
                '\\' => {
                    escape(&mut chars, word, |_| true);
                    continue;
                }
                _ => None,
            };
            match end {
                Some(end) if char == '"' => push_between_double_quotes(&behind[..end], word),
                Some(end) => word.push_str(&behind[..end]),
                None => word.push(char),
            }
            chars = end.map_or(behind, |end| &behind[end + 1..]).chars();
        }
        self.rest = chars.as_str();
        is_there
    }
}

fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n')
}

/// Where the double quote is that ends what begins here.
fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}

fn push_between_double_quotes(text: &str, word: &mut String) {
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => escape(&mut chars, word, |char| ESCAPED.contains(&char)),
            _ => word.push(char),
        }
    }
}

/// What follows a backslash: itself where it `can_be` kept from its meaning; a line end means nothing.
fn escape(chars: &mut core::str::Chars<'_>, word: &mut String, can_be: impl Fn(char) -> bool) {
    match chars.next() {
        None => word.push('\\'),
        Some('\n') => {}
        Some(char) => {
            if !can_be(char) {
                word.push('\\');
            }
            word.push(char);
        }
    }
}

/// Appends a word that consists of these parts, behind a blank unless it is the first, with quotes if it needs them.
pub fn push_word(line: &mut String, parts: &[&str]) {
    if !line.is_empty() {
        line.push(' ');
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,=@%+".contains(&byte);
    let is_empty = parts.iter().all(|part| part.is_empty());
    if !is_empty && parts.iter().all(|part| part.bytes().all(is_plain)) {
        return parts.iter().for_each(|part| line.push_str(part));
    }
    line.push('"');
    for char in parts.iter().flat_map(|part| part.chars()) {
        if ESCAPED.contains(&char) {
            line.push('\\');
        }
        line.push(char);
    }
    line.push('"');
}
