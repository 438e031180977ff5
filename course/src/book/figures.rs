//! The measured figures of the book: `docs/course/figures.toml` has their values, and the text names each by a comment
//! directly after the number, `691,445<!-- figure: image.vote-service.bytes -->`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::book::markdown::Page;
use crate::book::session::Session;

/// Where the values are.
pub const FILE: &str = "docs/course/figures.toml";
/// How long a command may measure: it may build an image first.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(600);
/// How a comment that names a figure begins.
const COMMENT: &str = "<!-- figure:";

/// All figures, by name.
pub type Figures = BTreeMap<String, Figure>;

/// A figure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What the text says.
    pub value: f64,
    /// How far a measurement may be from it.
    #[serde(default)]
    tolerance_percent: f64,
    /// What measures it: it prints lines of a name and a number, or one number alone.
    pub command: Option<String>,
    /// Instead of a command that would take too long: the document of the repository that has the measurement.
    source: Option<String>,
}

/// The values of the file.
///
/// # Errors
/// When it is not there or not of its form.
pub fn read(root: &Path) -> Result<Figures> {
    let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    toml::from_str(&text).with_context(|| format!("{FILE} is not of its form"))
}

/// Where text and file differ.
pub fn disagreements(pages: &[Page], figures: &Figures) -> Vec<String> {
    let mut faults = Vec::new();
    let mut named = BTreeSet::new();
    for page in pages {
        for (number, name, line) in mentions(page) {
            let place = format!("{}:{line}: figure {name}", page.path);
            match (figures.get(&name), value(&number)) {
                (None, _) => faults.push(format!("{place}: {FILE} does not have it")),
                (_, None) => {
                    faults.push(format!("{place}: what is before its comment is no number: {number:?}"))
                }
                (Some(figure), Some(value)) if figure.value != value => {
                    faults.push(format!("{place}: the text has {number}, {FILE} has {}", figure.value));
                }
                _ => {}
            }
            named.insert(name);
        }
    }
    let unused = figures.keys().filter(|name| !named.contains(*name));
    faults.extend(unused.map(|name| format!("{FILE}: no page names {name}: delete it")));
    faults
}

/// Measures all figures again, each command once, and returns those that are further away than they may be.
///
/// # Errors
/// When there is no shell.
pub fn measure(root: &Path, figures: &Figures) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut measured: BTreeMap<&str, String> = BTreeMap::new();
    for (name, figure) in figures {
        let found = match (&figure.command, &figure.source) {
            (Some(command), None) => {
                if !measured.contains_key(command.as_str()) {
                    measured.insert(command, run(root, command)?);
                }
                compare(name, figure, command, &measured[command.as_str()])
            }
            (None, Some(source)) => from_source(root, name, figure, source),
            _ => Some(format!("{FILE}: {name} needs either a command or a source")),
        };
        faults.extend(found);
    }
    Ok(faults)
}

fn run(root: &Path, command: &str) -> Result<String> {
    // What it says on standard error is not its result.
    Ok(Session::start(root, &[])?.run(&format!("({command}) 2>/dev/null"), COMMAND_LIMIT)?.lines.join("\n"))
}

fn compare(name: &str, figure: &Figure, command: &str, printed: &str) -> Option<String> {
    let Some(measured) = find(name, printed) else {
        return Some(format!("{FILE}: `{command}` does not print {name}; it printed:\n{printed}"));
    };
    let difference = (measured - figure.value).abs();
    let allowed = figure.value.abs() * figure.tolerance_percent / 100.0;
    (difference > allowed).then(|| {
        format!(
            "{FILE}: {name} is {measured} now, not {}, further away than {} %: measure with `{command}`, then mend \
             the value here and in the text",
            figure.value, figure.tolerance_percent
        )
    })
}

fn from_source(root: &Path, name: &str, figure: &Figure, source: &str) -> Option<String> {
    let Ok(text) = fs::read_to_string(root.join(source)) else {
        return Some(format!("{FILE}: {name}: cannot read {source}"));
    };
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.');
    let mut numbers =
        text.split(|c| !is_number(c)).filter_map(|word| value(word.trim_end_matches(['.', ','])));
    let is_there = numbers.any(|number| number == figure.value);
    (!is_there).then(|| format!("{FILE}: {name}: {source} does not have {}", figure.value))
}

/// The value of this name among lines of a name and a number, with `=` or `:` between; or the only number.
pub fn find(name: &str, printed: &str) -> Option<f64> {
    let line = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || matches!(c, '=' | ':'));
        let first = words.next()?.trim_matches('"').to_owned();
        Some((first, value(words.rfind(|word| !word.is_empty())?)?))
    };
    let named = printed.lines().filter_map(line).find(|(first, _)| first == name);
    named.map(|(_, value)| value).or_else(|| value(printed.trim()))
}

/// A number, with commas between thousands.
fn value(text: &str) -> Option<f64> {
    let digits = text.replace(',', "");
    digits.starts_with(|c: char| c.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The figures that a page names: the number before each comment, the name in it, and the line.
fn mentions(page: &Page) -> Vec<(String, String, usize)> {
    let mut mentions = Vec::new();
    for (number, line) in page.text.lines().enumerate() {
        for (at, _) in line.match_indices(COMMENT) {
            let before = line[..at].trim_end_matches(['*', '`', '_']);
            let is_digit = |c: char| c.is_ascii_digit() || matches!(c, ',' | '.');
            let start = before.trim_end_matches(is_digit).len();
            let name = line[at + COMMENT.len()..].split("-->").next().unwrap_or_default().trim();
            mentions.push((before[start..].to_owned(), name.to_owned(), number + 1));
        }
    }
    mentions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(text: &str) -> Figures {
        toml::from_str(text).expect("figures")
    }

    fn page(text: &str) -> Page {
        Page::parse("a.md", text.to_owned())
    }

    #[test]
    fn text_and_file_agree_or_are_told() {
        let figures = figures("a = { value = 691445, command = 'x' }\nb = { value = 2.5, command = 'x' }\n");
        let right = page("It has **691,445**<!-- figure: a --> bytes,\nand 2.5<!-- figure: b --> of them.");
        assert_eq!(disagreements(&[right], &figures), [""; 0]);
        let wrong = page("1<!-- figure: a -->\nmany<!-- figure: b --> 3<!-- figure: c -->");
        let faults = disagreements(&[wrong], &figures);
        assert!(
            faults[0].starts_with("a.md:1: figure a: the text has 1, ") && faults[0].ends_with("has 691445")
        );
        assert!(faults[1].starts_with("a.md:2: figure b: ") && faults[2].starts_with("a.md:2: figure c: "));
        assert!(disagreements(&[], &figures)[0].contains("no page names a"));
    }

    #[test]
    fn a_measurement_may_be_as_far_away_as_it_says() {
        let measured = |text| measure(Path::new("/"), &figures(text)).expect("a shell");
        let near =
            measured("'a.b' = { value = 100, tolerance_percent = 10, command = 'echo a.b = 109; echo c 5' }");
        assert_eq!(near, [""; 0]);
        let far = measured("a = { value = 100, tolerance_percent = 10, command = 'echo 111' }");
        assert!(far[0].contains("a is 111 now, not 100"), "{far:?}");
    }

    #[test]
    fn numbers_are_found_by_their_names() {
        assert_eq!(find("b", "a 1\n\"b\" = 2,345\nc: 3"), Some(2345.0));
        assert_eq!(find("c", "a 1\nc: 3"), Some(3.0));
        assert_eq!(find("d", "a 1\nc: 3"), None);
        assert_eq!(find("d", "17\n"), Some(17.0));
        let longer = "\"image.a.bytes\" = 17\n\"image.a\" = 3.5\n";
        assert_eq!((find("image.a", longer), find("image", longer)), (Some(3.5), None));
    }
}
