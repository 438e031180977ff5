//! Words that were given up for the field's own: they do not come back.

use crate::breach::Breach;
use crate::sources::Source;

/// A word that was retired, and what is said instead. Types and metrics are looked for as they are written.
const RETIRED: [(&str, &str); 17] = [
    ("Audience", "Subscribers"),
    ("Board", "ResultPage"),
    ("Booth", "VoteHandler"),
    ("Colleagues", "Membership"),
    ("Desk", "Responder or AdminHandler"),
    ("Hall", "ResultHandler"),
    ("Hub", "Segment"),
    ("Knock", "WaitingSyn"),
    ("Knocks", "SynQueue"),
    ("Mover", "QueueConsumer"),
    ("StoreBacked", "BackendService"),
    ("StoreUser", "Backend"),
    ("Taker", "FrameOwner"),
    ("Tally", "ScorePoller"),
    ("host's end", "gateway"),
    ("See the module", "what it is"),
    ("store_ready", "backend_ready"),
];

/// Retired words in code, comments and documents.
pub fn retired(sources: &[Source]) -> Vec<Breach> {
    // What was is history's to say, and this list must name them.
    let is_looked_at =
        |source: &&Source| source.path != "CHANGELOG.md" && !source.path.starts_with("tests/tidy/");
    sources.iter().filter(is_looked_at).flat_map(|source| of_file(source, &RETIRED)).collect()
}

fn of_file(source: &Source, retired: &[(&str, &str)]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for (word, instead) in retired.iter().filter(|(word, _)| has_word(line, word)) {
            breaches.push(Breach::new(source, at + 1, format!("{word} is retired: say {instead}")));
        }
    }
    breaches
}

/// Whether a line has a word that is no part of another one.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::source;

    #[test]
    fn a_retired_word_is_found_and_a_longer_one_is_not() {
        let source = source("a/src/x.rs", "//! The Hall.\nstruct Hallway;\nlet hall = Hall::new();\n");
        let found = of_file(&source, &[("Hall", "ResultHandler")]);
        assert_eq!(found.iter().map(|breach| breach.line).collect::<Vec<_>>(), [1, 3]);
        assert!(found[0].text.contains("ResultHandler"));
    }
}
