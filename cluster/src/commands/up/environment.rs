//! What `up` takes from its environment and from a file `.env` beside the description, as compose does: what is voted
//! on. Of other settings that are found there it is said that they are not used, and what is instead.

use image_build::note;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::application::VALUE_BYTES_MAX;

/// Settings that are taken.
const TAKEN: [&str; 2] = ["OPTION_A", "OPTION_B"];
/// Settings of the services that are not, and what does the same.
const NOT_TAKEN: [(&str, &str); 7] = [
    ("REDIS_URL", "--redis URL"),
    ("RESULTS_URL", "--results URL"),
    ("PORT", "--publish SERVICE=PORT"),
    ("DATA", "--data DIR"),
    ("MAXMEMORY", "`environment` in the description"),
    ("REQUIREPASS", "`environment` in the description"),
    ("LOG", "`environment` in the description"),
];
/// The file.
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
    for (name, instead) in NOT_TAKEN {
        if variable(name).is_some_and(|value| !value.is_empty()) {
            note!("note: {name} of the environment or {FILE} is not used here: {instead} is");
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
            bail!("line {}: {line:?} is no NAME=VALUE", number + 1);
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
    fn lines_of_a_file_are_names_and_values() {
        let text = "# what is voted on\n\nOPTION_A=Tea\nexport OPTION_B = \"Coffee & cake\"\nX='{'\n";
        let settings = parse(text).expect("well-formed");
        let value = |name: &str| settings.get(name).map(String::as_str);
        let found = (value("OPTION_A"), value("OPTION_B"), value("X"));
        assert_eq!(found, (Some("Tea"), Some("Coffee & cake"), Some("{")));
        assert!(parse("OPTION_A").expect_err("no value").to_string().contains("line 1"));
    }
}
