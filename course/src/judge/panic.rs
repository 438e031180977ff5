//! Panics of Rust programs, read from their error output.

/// A panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic<'a> {
    /// File, line and column.
    pub place: &'a str,
    /// What it says, in one or more lines.
    pub message: &'a str,
}

/// What the standard library writes before the message, after the thread's name and number.
const PANICKED: &str = " panicked at ";
/// What begins the lines after a message.
const AFTER: [&str; 4] =
    ["\nnote: run with `RUST_BACKTRACE", "\nstack backtrace:", "\n\nthread '", "\ntest "];
/// What `assert_eq!` says first.
const EQUAL: &str = "assertion `left == right` failed";
/// What `assert!` without words says first.
const HOLDS: &str = "assertion failed: ";

/// The first panic, if there is one.
pub fn first(errors: &str) -> Option<Panic<'_>> {
    let at = errors.find("thread '")?;
    let (head, rest) = errors[at..].split_once('\n')?;
    let Some((_, place)) = head.split_once(PANICKED) else { return first(&errors[at + 1..]) };
    let end = AFTER.iter().filter_map(|words| rest.find(words)).min().unwrap_or(rest.len());
    Some(Panic { place: place.trim_end_matches(':'), message: rest[..end].trim_end() })
}

impl Panic<'_> {
    /// The message as a verdict has it: an `assert_eq!` compares what came, on the left, with what was expected.
    pub fn told(&self) -> String {
        if let Some((words, came, expected)) = self.compared() {
            return format!("{words}expected {expected}; came {came}");
        }
        match self.message.strip_prefix(HOLDS) {
            Some(condition) => format!("expected `{condition}`; came the contrary ({})", self.place),
            None => self.message.to_owned(),
        }
    }

    fn compared(&self) -> Option<(String, &str, &str)> {
        let rest = self.message.strip_prefix(EQUAL)?;
        let (words, values) = rest.split_once("\n  left: ")?;
        let (came, expected) = values.split_once("\n right: ")?;
        let words = words.trim_start_matches(": ");
        Some((if words.is_empty() { String::new() } else { format!("{words}: ") }, came, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_is_found() {
        let errors = "thread '<x>' says hello\n\nthread 'a::b' (12) panicked at tests/judge.rs:3:9:\none\ntwo\n\
                      note: run with `RUST_BACKTRACE=1` environment\n\nthread 'c' panicked at src/lib.rs:1:1:\nlater\n";
        assert_eq!(first(errors), Some(Panic { place: "tests/judge.rs:3:9", message: "one\ntwo" }));
        assert_eq!(first("thread 'x' has overflowed its stack\n"), None);
        assert_eq!(first(""), None);
    }

    #[test]
    fn assertions_become_what_was_expected_and_what_came() {
        let told = |message| Panic { place: "tests/judge.rs:3:9", message }.told();
        let compared = "assertion `left == right` failed: bytes of 16 descriptors\n  left: 24\n right: 26";
        assert_eq!(told(compared), "bytes of 16 descriptors: expected 26; came 24");
        assert_eq!(told("assertion `left == right` failed\n  left: 1\n right: 2"), "expected 2; came 1");
        assert_eq!(
            told("assertion failed: x > 0"),
            "expected `x > 0`; came the contrary (tests/judge.rs:3:9)"
        );
        assert_eq!(told("expected a; came b"), "expected a; came b");
    }
}
