//! The kernel's command line: what the host writes, the guest reads as it was, or the host refuses.
//!
//! The guest's side is the loader's, which translates lines of any engine, and the kernel's.

use command_line::translate;
use image_build::vm::command_line::{BYTES_MAX, CommandLine};
use kernel_app::Settings;

use super::engine_line::{Understood, understood};

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
    let translated = translate(rendered.as_bytes(), |_| {}).expect("it is short enough");
    // A path in the first place is the program's name.
    if line.arguments.first().is_some_and(|word| word.starts_with('/')) {
        line.arguments.remove(0);
    }
    let CommandLine { environment, arguments } = line;
    let settings = Settings::from_pairs(environment.clone());
    for (name, value) in &environment {
        assert_eq!(settings.get(name).unwrap_or_default(), value);
    }
    let expected = Understood { rate: Some(2_000), settings: environment, arguments };
    assert_eq!(understood(&translated), expected, "{rendered}");
}
