//! Variables that a description names as `${NAME}`: from the environment of `cargo up`, and from a file `.env` next to
//! the description, as compose takes them. For settings in the environment that the description does not take from
//! there, it says that they are not used, and what to use instead.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::application::variable;
use crate::application::{Application, RESERVED_SETTINGS, VALUE_BYTES_MAX};
use image_build::vm::run::SETTINGS;

/// What does the same as settings that are not taken.
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

/// The variables that the description names and that have a value, from the environment first.
///
/// # Errors
/// When the file is there and cannot be understood, or a value cannot be used.
pub fn read(folder: &Path, application: &Application) -> Result<BTreeMap<String, String>> {
    let file = read_file(&folder.join(FILE))?;
    let variable = |name: &str| env::var(name).ok().or_else(|| file.get(name).cloned());
    for (name, instead) in not_taken(application) {
        if variable(&name).is_some_and(|value| !value.is_empty()) {
            note!("note: {name} from the environment or {FILE} is ignored: use {instead} instead");
        }
    }
    let taken = variables(application).into_iter().filter_map(|name| Some((variable(&name)?, name)));
    let taken: BTreeMap<String, String> =
        taken.filter(|(value, _)| !value.is_empty()).map(|(value, name)| (name, value)).collect();
    for (name, value) in &taken {
        ensure!(
            value.len() <= VALUE_BYTES_MAX && !value.chars().any(char::is_control),
            "{name} cannot be used: give at most {VALUE_BYTES_MAX} bytes without control characters"
        );
    }
    Ok(taken)
}

/// The names of the variables of a description.
fn variables(application: &Application) -> BTreeSet<String> {
    let names = RefCell::new(BTreeSet::new());
    for value in application.services.values().flat_map(|service| service.environment.values()) {
        // A value that cannot be read was refused with the description.
        let _ = variable::fill(value, |name| {
            names.borrow_mut().insert(name.to_owned());
            None
        });
    }
    names.into_inner()
}

/// The settings that are not taken, and what is used instead. Those of [`RESERVED_SETTINGS`] are nobody's to give.
fn not_taken(application: &Application) -> BTreeMap<String, &'static str> {
    let taken = variables(application);
    let described = application.services.values().flat_map(|service| service.environment.keys().cloned());
    let known = described.chain(SETTINGS.map(str::to_owned)).map(|name| (name, IN_DESCRIPTION));
    let instead = INSTEAD.map(|(name, instead)| (name.to_owned(), instead));
    // Of two for one name, the last one stays.
    let mut all: BTreeMap<String, &'static str> = known.chain(instead).collect();
    all.retain(|name, _| !taken.contains(name) && !RESERVED_SETTINGS.contains(&name.as_str()));
    all
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

    fn voting_app() -> Application {
        let images = ["store-service", "worker", "vote-service", "result-service"];
        let text = include_str!("../../../../voting-app.toml");
        Application::parse("voting-app.toml", text, &images).expect("well-formed")
    }

    #[test]
    fn a_setting_that_the_description_gives_itself_is_not_taken() {
        let not_taken = not_taken(&voting_app());
        assert_eq!(not_taken.get("HEALTH_PORT"), Some(&IN_DESCRIPTION));
        assert_eq!(not_taken.get("REDIS_URL"), Some(&"--redis URL"));
        assert!(!not_taken.contains_key("OPTION_A") && !not_taken.contains_key("INSTANCE"));
    }

    #[test]
    fn every_setting_in_the_readme_is_accepted_or_refused_with_a_reason() {
        let readme = include_str!("../../../../README.md");
        let (_, table) = readme.split_once("\n## Settings").expect("a chapter");
        let (table, _) = table.split_once("\n## ").expect("another one");
        let names = table.lines().filter_map(|line| line.strip_prefix('|')?.split_once('|'));
        let listed: Vec<&str> = names.flat_map(|(names, _)| names.split('`').skip(1).step_by(2)).collect();
        assert!(listed.len() > 20, "{listed:?}");
        let application = voting_app();
        let mut told = variables(&application);
        assert_eq!(told.iter().map(String::as_str).collect::<Vec<_>>(), ["OPTION_A", "OPTION_B", "RECOVER"]);
        told.extend(not_taken(&application).into_keys().chain(RESERVED_SETTINGS.map(str::to_owned)));
        let lacking: Vec<&&str> = listed.iter().filter(|name| !told.contains(**name)).collect();
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
