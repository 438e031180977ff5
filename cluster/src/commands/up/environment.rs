//! Settings that `up` takes from its environment and from a file `.env` next to the description, as compose does: the
//! options of the vote, and whether a damaged log may be shortened. For other settings in the environment, it says
//! that they are not used, and what to use instead.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::application::{Application, RESERVED_SETTINGS, VALUE_BYTES_MAX};
use image_build::vm::run::SETTINGS;

/// Settings that are taken, for all services that name them.
const TAKEN: [&str; 3] = ["OPTION_A", "OPTION_B", "RECOVER"];
/// What does the same as settings that are not.
const INSTEAD: [(&str, &str); 7] = [
    ("REDIS_URL", "--redis URL"),
    ("RESULTS_URL", "--results URL"),
    ("PORT", "--publish SERVICE=PORT"),
    ("RESULT_PORT", "--publish SERVICE=PORT"),
    ("WORKER_PORT", "--publish SERVICE=PORT"),
    ("DATA", "--data DIR"),
    ("DATA_SIZE", "`volumes` in the description"),
];
/// The same of all others.
const IN_DESCRIPTION: &str = "`environment` in the description";
/// Name of the settings file, next to the description.
const FILE: &str = ".env";
/// Longest file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The settings that are taken, from the environment first.
///
/// # Errors
/// When the file is there and cannot be understood, or a value cannot be used.
pub fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let file = read_file(&folder.join(FILE))?;
    let variable = |name: &str| env::var(name).ok().or_else(|| file.get(name).cloned());
    for (name, instead) in not_taken() {
        if variable(name).is_some_and(|value| !value.is_empty()) {
            note!("note: {name} from the environment or {FILE} is ignored: use {instead} instead");
        }
    }
    let taken = TAKEN.iter().filter_map(|name| Some(((*name).to_owned(), variable(name)?)));
    let taken: BTreeMap<String, String> = taken.filter(|(_, value)| !value.is_empty()).collect();
    for (name, value) in &taken {
        ensure!(
            value.len() <= VALUE_BYTES_MAX && !value.chars().any(char::is_control),
            "{name} cannot be used: give at most {VALUE_BYTES_MAX} bytes without control characters"
        );
    }
    Ok(taken)
}

/// Those that no service of this application takes.
pub fn without_taker<'a>(
    settings: &'a BTreeMap<String, String>,
    application: &Application,
) -> impl Iterator<Item = &'a str> {
    let services = &application.services;
    let is_taken = |name: &str| services.values().any(|service| service.environment.contains_key(name));
    settings.keys().map(String::as_str).filter(move |name| !is_taken(name))
}

/// The settings that are not taken, and what is used instead. Those of [`RESERVED_SETTINGS`] are nobody's to give.
fn not_taken() -> impl Iterator<Item = (&'static str, &'static str)> {
    let others = SETTINGS.into_iter().filter(|name| {
        let is_other = |(listed, _): &(&str, &str)| listed != name;
        !TAKEN.contains(name) && !RESERVED_SETTINGS.contains(name) && INSTEAD.iter().all(is_other)
    });
    INSTEAD.into_iter().chain(others.map(|name| (name, IN_DESCRIPTION)))
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(BTreeMap::new()) };
    ensure!(metadata.len() <= FILE_BYTES_MAX, "{} is longer than {FILE_BYTES_MAX} bytes", path.display());
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("cannot read {}", path.display()))
}

/// Lines `NAME=VALUE`, the value in quotes or not; empty ones and those that begin with `#` say nothing.
fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.trim_start_matches("export ").split_once('=') else {
            bail!("line {}: {line:?} is not of the form NAME=VALUE", number + 1);
        };
        let value = value.trim();
        let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
        let value = inside('"').or_else(|| inside('\'')).unwrap_or(value);
        settings.insert(name.trim().to_owned(), value.to_owned());
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_in_the_readme_is_accepted_or_refused_with_a_reason() {
        let readme = include_str!("../../../../README.md");
        let (_, table) = readme.split_once("\n## Settings").expect("a chapter");
        let (table, _) = table.split_once("\n## ").expect("another one");
        let names = table.lines().filter_map(|line| line.strip_prefix('|')?.split_once('|'));
        let listed: Vec<&str> = names.flat_map(|(names, _)| names.split('`').skip(1).step_by(2)).collect();
        assert!(listed.len() > 20, "{listed:?}");
        let told: Vec<&str> =
            not_taken().map(|(name, _)| name).chain(TAKEN).chain(RESERVED_SETTINGS).collect();
        let lacking: Vec<&&str> = listed.iter().filter(|name| !told.contains(name)).collect();
        assert!(lacking.is_empty(), "{lacking:?}");
        // A guest has no files: those two are for processes.
        let for_guests: Vec<&&str> =
            listed.iter().filter(|name| !SETTINGS.contains(name) && !name.starts_with("DATA")).collect();
        assert!(for_guests.is_empty(), "{for_guests:?}");
    }

    #[test]
    fn lines_of_a_file_are_names_and_values() {
        let text = "# what is voted on\n\nOPTION_A=Tea\nexport OPTION_B = \"Coffee & cake\"\nX='{'\n";
        let settings = parse(text).expect("well-formed");
        let value = |name: &str| settings.get(name).map(String::as_str);
        let found = (value("OPTION_A"), value("OPTION_B"), value("X"));
        assert_eq!(found, (Some("Tea"), Some("Coffee & cake"), Some("{")));
        assert!(parse("OPTION_A").expect_err("no value").to_string().contains("line 1"));
    }
}
