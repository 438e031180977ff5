//! The kernel's command line: what the host writes, the guest reads as it was, or the host refuses.
//!
//! The guest's side is the kernel's, which splits words as a POSIX shell does and gives a program what
//! follows `env=` as a variable; an open quote would be its panic.

use std::collections::BTreeMap;

use image_build::vm::command_line::{BYTES_MAX, CommandLine};
use kernel_app::Settings;

/// Lines `NAME=VALUE` are settings, other ones arguments; `\n` within a line stands for a line end.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut line = CommandLine::default();
    for word in text.lines().map(|word| word.replace("\\n", "\n")) {
        match word.split_once('=') {
            Some((name, value)) => drop(line.environment.insert(name.to_owned(), value.to_owned())),
            None => line.arguments.push(word),
        }
    }
    let Ok(rendered) = line.render(Some(2_000)) else { return };
    assert!(rendered.len() <= BYTES_MAX && !rendered.contains('\0'));
    let words = shell_words::split(&rendered).expect("no quote is left open");
    let (mut environment, mut arguments, mut is_argument) = (BTreeMap::new(), Vec::new(), false);
    for word in words.into_iter().skip(2) {
        match word.strip_prefix("env=").and_then(|pair| pair.split_once('=')) {
            _ if is_argument => arguments.push(word),
            Some((name, value)) => drop(environment.insert(name.to_owned(), value.to_owned())),
            None => {
                assert_eq!(word, "--");
                is_argument = true;
            }
        }
    }
    assert_eq!((&environment, &arguments), (&line.environment, &line.arguments), "{rendered}");
    let settings = Settings::from_pairs(environment.clone());
    for (name, value) in &environment {
        assert_eq!(settings.get(name).unwrap_or_default(), value);
    }
}
