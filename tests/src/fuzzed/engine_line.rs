//! A command line of any engine: whatever it is, the kernel reads what comes of it without a complaint.

use std::collections::BTreeMap;

use command_line::{Error, LINE_BYTES_MAX, translate};

/// Most times that a line grows.
const GROWTH_MAX: usize = 3;

/// What the kernel and the program make of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Understood {
    /// The rate of time stamps.
    pub rate: Option<u16>,
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
    /// Arguments.
    pub arguments: Vec<String>,
}

/// Reads a line as the kernel does, and panics where it would complain.
pub fn understood(line: &str) -> Understood {
    let mut words = shell_words::split(line).expect("no quote is left open").into_iter();
    let mut understood = Understood::default();
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some(("env", pair)) => {
                let (name, value) = pair.split_once('=').expect("a name and a value");
                understood.settings.insert(name.to_owned(), value.to_owned());
            }
            None if word == "-freq" => {
                let rate = words.next().expect("a value").parse().expect("16 bits");
                understood.rate = Some(rate);
            }
            None if word == "--" => understood.arguments.extend(&mut words),
            _ => panic!("{word:?} means nothing to the kernel"),
        }
    }
    understood
}

/// The input is a line.
pub fn check(bytes: &[u8]) {
    let mut dropped = 0;
    let translated = match translate(bytes, |word| dropped += word.len()) {
        Ok(translated) => translated,
        Err(Error::TooLong) => return assert!(bytes.len() > LINE_BYTES_MAX),
        Err(Error::NotText) => return assert!(std::str::from_utf8(bytes).is_err()),
    };
    assert!(translated.len() <= GROWTH_MAX * bytes.len() && dropped <= bytes.len());
    let result = understood(&translated);
    // What has been translated means the same again, where it is short enough; paths that are dropped aside.
    if let Ok(again) = translate(translated.as_bytes(), |_| {}) {
        let again = understood(&again);
        assert_eq!((result.rate, result.settings), (again.rate, again.settings), "{translated}");
    }
}
