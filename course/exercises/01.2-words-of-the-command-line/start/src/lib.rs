//! Exercise 1.2: words of the command line.
//!
//! A guest's settings are words on its kernel's command line: `env=IP=10.0.2.15/24 'env=OPTION_A=Cats & Dogs' -freq 1`
//! has two. Write the function that finds one. The rules are those of docs/operating.md, "The command line":
//!
//! - Words are separated by blanks: spaces, tabs and line ends.
//! - A word `env=NAME=VALUE` sets NAME. A value may contain `=`. All other words mean nothing here.
//! - Quotes, single or double, keep blanks in a word, and are not part of it. They may begin in the middle of a word.
//!   A quote that is left open stands for itself.
//! - Of two words for one name the last one counts. An empty value unsets what came before.
//!
//! `cargo course check 1.2` tells how far you are.

/// The value that the line gives to a setting; none if there is none, or if it was unset.
pub fn setting(line: &str, name: &str) -> Option<String> {
    // Yours to write.
    let _ = (line, name);
    None
}
