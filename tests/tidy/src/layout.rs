//! What a file looks like from outside: it says what it is, and neither it nor its lines are too long.

use crate::breach::Breach;
use crate::sources::Source;

/// Most characters of a line of code or comment. rustfmt breaks code at 110 and leaves comments alone.
const LINE_CHARS_MAX: usize = 120;
/// Most lines of a file.
const FILE_LINES_MAX: usize = 600;

/// Every module begins with a `//!` line that says what it is.
pub fn module_docs(sources: &[Source]) -> Vec<Breach> {
    let is_undocumented = |source: &&Source| {
        source.is_rust() && !source.text.lines().next().is_some_and(|first| first.starts_with("//!"))
    };
    let breach = |source| Breach::new(source, 1, "the file does not say what it is: begin with a `//!` line");
    sources.iter().filter(is_undocumented).map(breach).collect()
}

/// No line is longer than a reader's window. A string that cannot be broken may be.
pub fn line_length(sources: &[Source]) -> Vec<Breach> {
    let of_file = |source: &Source| -> Vec<Breach> {
        let lines = source.text.lines().enumerate();
        let is_text = |line: &str| line.contains('"') || line.ends_with('\\');
        let long = lines.filter(|(_, line)| line.chars().count() > LINE_CHARS_MAX && !is_text(line));
        let breach = |(at, line): (usize, &str)| {
            let chars = line.chars().count();
            Breach::new(source, at + 1, format!("{chars} characters: break the line at {LINE_CHARS_MAX}"))
        };
        long.map(breach).collect()
    };
    sources.iter().filter(|source| source.is_rust()).flat_map(of_file).collect()
}

/// No file is longer than a reader's patience.
pub fn file_length(sources: &[Source]) -> Vec<Breach> {
    let is_long = |source: &&Source| source.is_rust() && source.text.lines().count() > FILE_LINES_MAX;
    let breach = |source: &Source| {
        let lines = source.text.lines().count();
        Breach::new(
            source,
            0,
            format!("{lines} lines: give a part of it a file of its own ({FILE_LINES_MAX})"),
        )
    };
    sources.iter().filter(is_long).map(breach).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::source;

    #[test]
    fn a_file_that_does_not_say_what_it_is_is_found() {
        let sources =
            [source("a/src/x.rs", "use y;\n"), source("a/src/y.rs", "//! Y.\n"), source("b.md", "")];
        let found = module_docs(&sources);
        assert_eq!(found.iter().map(|breach| breach.path.as_str()).collect::<Vec<_>>(), ["a/src/x.rs"]);
    }

    #[test]
    fn a_long_line_is_found_and_a_long_string_is_not() {
        let long = "x".repeat(121);
        let text = format!("//! X.\n// {long}\nconst A: &str = \"{long}\";\n");
        let found = line_length(&[source("a/src/x.rs", &text)]);
        assert_eq!(found.iter().map(|breach| breach.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_long_file_is_found() {
        let found = file_length(&[source("x.rs", &"\n".repeat(601)), source("y.rs", &"\n".repeat(600))]);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("x.rs:0: 601 lines"), "{}", found[0]);
    }
}
