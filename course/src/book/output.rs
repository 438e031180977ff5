//! What a block of the book says that a command prints, compared with what it printed.
//!
//! Numbers are compared only as numbers, blanks only as blanks: both differ from machine to machine. A line `...`
//! stands for any lines, and `[..]` within a line for anything.

/// A line that stands for any lines.
const ANY_LINES: &str = "...";
/// What stands for anything within a line.
const ANYTHING: &str = "[..]";
/// What each number is compared as.
const NUMBER: char = '#';

/// The first expected line that did not come, or the first that came unexpected after all of them: its number among the
/// expected ones, from 0.
pub fn mismatch(expected: &[&str], came: &[&str]) -> Option<usize> {
    let expected: Vec<(usize, String)> = kept(expected);
    let came: Vec<(usize, String)> = kept(came);
    // Which of the places before a line of the output the lines so far have led to.
    let mut places = vec![false; came.len() + 1];
    places[0] = true;
    for (number, line) in &expected {
        let next = step(line, &places, &came);
        if !next.contains(&true) {
            return Some(*number);
        }
        places = next;
    }
    let is_all = places.last() == Some(&true);
    (!is_all).then(|| expected.last().map_or(0, |(number, _)| number + 1))
}

/// The places after one more expected line.
fn step(line: &str, places: &[bool], came: &[(usize, String)]) -> Vec<bool> {
    let mut next = vec![false; places.len()];
    if line == ANY_LINES {
        let first = places.iter().position(|is_place| *is_place).unwrap_or(places.len());
        next[first..].fill(true);
        return next;
    }
    for (at, (_, printed)) in came.iter().enumerate().filter(|(at, _)| places[*at]) {
        next[at + 1] = fits(line, printed);
    }
    next
}

/// Lines that are not blank, as they are compared, with their numbers.
fn kept(lines: &[&str]) -> Vec<(usize, String)> {
    let lines = lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(number, line)| (number, normal(line))).collect()
}

/// A line with one blank for many, and one sign for each number.
fn normal(line: &str) -> String {
    let mut normal = String::new();
    let words: Vec<&str> = line.split_whitespace().collect();
    for (number, word) in words.iter().enumerate() {
        if number > 0 {
            normal.push(' ');
        }
        push_word(&mut normal, word);
    }
    normal
}

fn push_word(normal: &mut String, word: &str) {
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let length = number_length(rest);
        if length > 0 {
            normal.push(NUMBER);
        } else {
            normal.push(c);
        }
        rest = &rest[length.max(c.len_utf8())..];
    }
}

/// How long the number is that a text begins with: `0x` and hexadecimal digits, or digits with `,` and `.` among them.
fn number_length(text: &str) -> usize {
    let hexadecimal = text.strip_prefix("0x").map_or(0, |digits| {
        let is_other = |c: char| !(c.is_ascii_hexdigit() || c == '_');
        digits.find(is_other).unwrap_or(digits.len())
    });
    if hexadecimal > 0 {
        return hexadecimal + 2;
    }
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut length = 0;
    while is_digit(length)
        || (length > 0 && matches!(bytes.get(length), Some(b',' | b'.')) && is_digit(length + 1))
    {
        length += 1;
    }
    length
}

/// Whether a printed line is what a line with `[..]` describes.
fn fits(line: &str, printed: &str) -> bool {
    let mut pieces = line.split(ANYTHING);
    let Some(mut rest) = printed.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_blanks_are_compared_as_such() {
        assert_eq!(normal("vote   12,345 B in 1.5 s."), "vote # B in # s.");
        assert_eq!(normal("at 0x3f_a8 x86_64"), "at # x#_#");
        assert_eq!(mismatch(&["a   1", "", "b 2.5"], &["a 700", "b 1"]), None);
        assert_eq!(mismatch(&["a 1", "b 2"], &["a 1", "c 2"]), Some(1));
        assert_eq!(mismatch(&["a 1"], &["a x"]), Some(0));
    }

    #[test]
    fn dots_stand_for_any_lines_and_for_anything() {
        assert_eq!(mismatch(&["...", "end"], &["a", "b", "end"]), None);
        assert_eq!(mismatch(&["a", "...", "b", "..."], &["a", "b", "b", "c"]), None);
        assert_eq!(mismatch(&["...", "end"], &["a", "b"]), Some(1));
        assert_eq!(mismatch(&["path [..]/x in [..] s"], &["path /tmp/4/x in 3 s"]), None);
        assert_eq!(mismatch(&["path [..]/y"], &["path /tmp/4/x"]), Some(0));
    }

    #[test]
    fn what_came_too_much_or_not_at_all_is_seen() {
        assert_eq!(mismatch(&["a"], &["a", "b"]), Some(1));
        assert_eq!(mismatch(&["a", "b"], &["a"]), Some(1));
        assert_eq!(mismatch(&["..."], &[]), None);
    }
}
