//! The format of `exercise.toml`. `exercises/README.md` describes it for authors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use toml::Value;

use crate::exercise::pattern::Pattern;

/// Hints that an exercise must have.
const HINTS_MIN: usize = 2;

/// An exercise, and how it is judged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// A few words.
    pub title: String,
    /// How hard it is.
    pub grade: Grade,
    /// What must hold at the end.
    pub goal: String,
    /// Where to read: a path from the repository's root, with a heading.
    pub read: String,
    /// How long it takes.
    pub minutes: u32,
    /// From a nudge to nearly the answer.
    pub hints: Vec<String>,
    /// How it is judged, in this order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// How hard an exercise is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// What the chapter says, applied.
    Easy,
    /// Takes a thought of one's own.
    Medium,
    /// Takes an evening.
    Hard,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Easy => "easy",
            Self::Medium => "medium",
            Self::Hard => "hard",
        })
    }
}

/// One thing that is judged.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Step {
    /// Tests on the host.
    Test(Test),
    /// An answer to a question.
    Answer(Answer),
    /// A guest that is booted.
    Boot(Boot),
    /// Bytes of an image.
    Size(Size),
    /// Instructions of a guest.
    Instructions(Instructions),
}

/// Tests on the host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Where to read when it fails.
    pub read: Option<String>,
    /// Time for all tests.
    #[serde(default = "a_minute")]
    pub limit_s: u64,
}

/// An answer in `answer.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Where to read when it is wrong.
    pub read: Option<String>,
    /// Its key.
    pub key: String,
    /// What is asked.
    pub question: String,
    /// The right value.
    pub equals: Option<Value>,
    /// The least and the largest right number.
    pub between: Option<[f64; 2]>,
    /// The right values.
    pub one_of: Option<Vec<Value>>,
    /// The right value is this figure's.
    pub figure: Option<String>,
    /// How far from a figure's value an answer may be.
    pub tolerance_percent: Option<f64>,
    /// What is said of typical wrong values.
    #[serde(default)]
    pub wrong: BTreeMap<String, String>,
}

/// How a program is made a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Quickly.
    Dev,
    /// As images are made.
    Image,
}

/// How a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ends {
    /// By itself, without an error.
    Success,
    /// By itself, with an error.
    Failure,
    /// It does not.
    Runs,
}

/// A guest that is booted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// Where to read when it fails.
    pub read: Option<String>,
    /// How it is compiled.
    #[serde(default = "dev")]
    pub profile: Profile,
    /// Whether it brings no kernel along, and QEMU starts its ELF file.
    #[serde(default)]
    pub bare: bool,
    /// Time until all has been seen.
    #[serde(default = "half_a_minute")]
    pub limit_s: u64,
    /// How it is to end.
    #[serde(default = "success")]
    pub ends: Ends,
    /// What lines of the serial line must have, in order.
    #[serde(default)]
    pub serial_has: Vec<Pattern>,
    /// What no line may have.
    #[serde(default)]
    pub serial_lacks: Vec<Pattern>,
    /// Memory of the guest.
    #[serde(default = "memory_mib")]
    pub memory_mib: u32,
    /// Settings of the guest.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// What the guest is asked.
    #[serde(default, rename = "request")]
    pub requests: Vec<Request>,
}

/// What a guest is asked on a connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Port in the guest.
    pub port: u16,
    /// Path of an HTTP request.
    pub path: Option<String>,
    /// Else the bytes to send.
    pub send: Option<String>,
    /// What the answer must have.
    pub answer_has: Pattern,
    /// What it may not have.
    pub answer_lacks: Option<Pattern>,
}

/// Bytes of an image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Where to read when it is too large.
    pub read: Option<String>,
    /// Most bytes.
    pub at_most: Option<u64>,
    /// How much smaller than the untouched start's it must be.
    pub smaller_than_start_by_kib: Option<u64>,
}

/// Instructions of a guest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instructions {
    /// Where to read when there are too many.
    pub read: Option<String>,
    /// Most instructions.
    pub at_most: Option<u64>,
    /// How many fewer than the untouched start's there must be.
    pub fewer_than_start_by: Option<u64>,
    /// Counted are those of one such request; without it, those of the boot.
    pub request: Option<Request>,
    /// Requests before the counted ones.
    #[serde(default = "warm_up")]
    pub warm_up: u32,
    /// How it is compiled.
    #[serde(default = "image")]
    pub profile: Profile,
    /// Time for all of it.
    #[serde(default = "half_a_minute")]
    pub limit_s: u64,
    /// Memory of the guest.
    #[serde(default = "memory_mib")]
    pub memory_mib: u32,
    /// Settings of the guest.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

fn a_minute() -> u64 {
    60
}

fn half_a_minute() -> u64 {
    30
}

fn memory_mib() -> u32 {
    32
}

fn warm_up() -> u32 {
    3
}

fn dev() -> Profile {
    Profile::Dev
}

fn image() -> Profile {
    Profile::Image
}

fn success() -> Ends {
    Ends::Success
}

impl Description {
    /// Reads it.
    ///
    /// # Errors
    /// When it is not well formed, or lacks what every exercise has.
    pub fn parse(text: &str) -> Result<Self> {
        let description: Self = toml::from_str(text)?;
        let hints = description.hints.len();
        ensure!(hints >= HINTS_MIN, "`hints` has {hints}, fewer than {HINTS_MIN}");
        ensure!(!description.steps.is_empty(), "there is no `[[step]]`");
        for (at, step) in description.steps.iter().enumerate() {
            step.check().with_context(|| format!("step {}", at + 1))?;
        }
        Ok(description)
    }

    /// The keys that `answer.toml` may have.
    pub fn answer_keys(&self) -> BTreeSet<&str> {
        let keys = self.steps.iter().filter_map(|step| match step {
            Step::Answer(answer) => Some(answer.key.as_str()),
            _ => None,
        });
        keys.collect()
    }
}

impl Step {
    /// Where to read when it fails, if not where the exercise says.
    pub fn read(&self) -> Option<&str> {
        match self {
            Self::Test(step) => step.read.as_deref(),
            Self::Answer(step) => step.read.as_deref(),
            Self::Boot(step) => step.read.as_deref(),
            Self::Size(step) => step.read.as_deref(),
            Self::Instructions(step) => step.read.as_deref(),
        }
    }

    /// What the types do not say.
    fn check(&self) -> Result<()> {
        match self {
            Self::Test(_) => Ok(()),
            Self::Answer(answer) => answer.check(),
            Self::Boot(boot) => boot.requests.iter().try_for_each(Request::check),
            Self::Size(size) => one_of(&[
                ("at_most", size.at_most.is_some()),
                ("smaller_than_start_by_kib", size.smaller_than_start_by_kib.is_some()),
            ]),
            Self::Instructions(step) => {
                step.request.iter().try_for_each(Request::check)?;
                one_of(&[
                    ("at_most", step.at_most.is_some()),
                    ("fewer_than_start_by", step.fewer_than_start_by.is_some()),
                ])
            }
        }
    }
}

impl Answer {
    fn check(&self) -> Result<()> {
        one_of(&[
            ("equals", self.equals.is_some()),
            ("between", self.between.is_some()),
            ("one_of", self.one_of.is_some()),
            ("figure", self.figure.is_some()),
        ])?;
        ensure!(
            self.figure.is_some() == self.tolerance_percent.is_some(),
            "`figure` and `tolerance_percent` belong together"
        );
        Ok(())
    }
}

impl Request {
    fn check(&self) -> Result<()> {
        one_of(&[("path", self.path.is_some()), ("send", self.send.is_some())])
    }

    /// The bytes to send. `connection` is what HTTP is to do with the connection afterwards: `close` or `keep-alive`.
    pub fn bytes(&self, connection: &str) -> String {
        match (&self.send, &self.path) {
            (Some(text), _) => text.clone(),
            (None, path) => {
                let path = path.as_deref().unwrap_or("/");
                format!("GET {path} HTTP/1.1\r\nHost: guest\r\nConnection: {connection}\r\n\r\n")
            }
        }
    }
}

/// Exactly one of these keys is given.
fn one_of(keys: &[(&str, bool)]) -> Result<()> {
    let names: Vec<String> = keys.iter().map(|(name, _)| format!("`{name}`")).collect();
    let given = keys.iter().filter(|(_, is_given)| *is_given).count();
    ensure!(given == 1, "exactly one of {} must be given, not {given}", names.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(head: &str, step: &str) -> String {
        format!(
            "title = \"t\"\ngoal = \"g\"\nread = \"README.md\"\nminutes = 5\nhints = [\"a\", \"b\"]\n{head}\n\
             [[step]]\n{step}\n"
        )
    }

    fn error(head: &str, step: &str) -> String {
        format!("{:#}", Description::parse(&description(head, step)).expect_err("refused"))
    }

    #[test]
    fn every_kind_of_step_is_read() {
        for step in [
            "kind = \"test\"",
            "kind = \"answer\"\nkey = \"k\"\nquestion = \"q\"\nequals = 3\nwrong = { \"2\" = \"half\" }",
            "kind = \"answer\"\nkey = \"k\"\nquestion = \"q\"\nbetween = [2, 3.5]",
            "kind = \"boot\"\nends = \"runs\"\n[[step.request]]\nport = 7\nsend = \"x\"\nanswer_has = \"x\"",
            "kind = \"size\"\nat_most = 300_000",
            "kind = \"instructions\"\nfewer_than_start_by = 500\nrequest = { port = 8, path = \"/\", answer_has = \"\" }",
        ] {
            let text = description("grade = \"easy\"", step);
            let read = Description::parse(&text).expect(step);
            assert_eq!(read.steps.len(), 1, "{step}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        let easy = "grade = \"easy\"";
        assert!(error("grade = \"heavy\"", "kind = \"test\"").contains("heavy"));
        assert!(error(easy, "kind = \"test\"\nlimit = 3").contains("`limit`"));
        assert!(error(easy, "kind = \"exam\"").contains("exam"));
        let both = "kind = \"answer\"\nkey = \"k\"\nquestion = \"q\"\nequals = 3\none_of = [3]";
        assert_eq!(
            error(easy, both),
            "step 1: exactly one of `equals`, `between`, `one_of`, `figure` must be given, not 2"
        );
        assert!(error(easy, "kind = \"boot\"\nserial_has = [\"(\"]").contains("no regular expression"));
    }

    #[test]
    fn keys_of_answers_are_those_of_questions() {
        let step =
            "kind = \"answer\"\nkey = \"why\"\nquestion = \"q\"\nequals = 3\n[[step]]\nkind = \"test\"";
        let read = Description::parse(&description("grade = \"hard\"", step)).expect("well formed");
        assert_eq!(read.answer_keys().into_iter().collect::<Vec<_>>(), ["why"]);
    }
}
