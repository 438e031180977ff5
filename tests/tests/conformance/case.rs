//! The table of cases: what is sent, and what must come back.
//!
//! Sends nothing. The format, a line at a time:
//!
//! | line | meaning |
//! |---|---|
//! | `# text` | a comment |
//! | `@ vote`, `@ result`, `@ both` | the services that the cases below are for |
//! | `case NAME [9112 6.3]` | begins a case; the rule is in that section of that RFC, or of `limits` |
//! | `> TEXT` | sends the text and CR LF |
//! | `>> TEXT` | sends the text alone |
//! | `end` | ends the client's side of the connection and goes on listening |
//! | `unsplit` | the case holds only if the bytes arrive as they are written here |
//! | `< STATUS` | the next response; what is sent after this line waits for it |
//! | `  Name: value` | a header line that it has |
//! | `  ! Name` | a header line that it has not |
//! | `  "text"` | what its body contains |
//! | `  bodiless` | it has no body, whatever its `Content-Length` says |
//! | `= open`, `= closed` | whether the connection then takes another request |
//!
//! In texts, `\r \n \t \0 \\ \xHH` stand for bytes, and `{TEXT*N}` for the text N times.

use std::path::Path;

/// The services that a case is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Vote,
    Result,
}

/// What the client does or waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Send(Vec<u8>),
    End,
    Await(Expected),
}

/// A response that must come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub status: u16,
    pub bodiless: bool,
    pub facts: Vec<Fact>,
}

/// What must be true of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Header(String, String),
    NoHeader(String),
    Body(String),
}

/// One row of the table.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub services: Vec<Service>,
    pub steps: Vec<Step>,
    pub unsplit: bool,
    /// Whether another request is answered afterwards.
    pub stays_open: bool,
}

impl Case {
    /// Bytes that the client sends.
    pub fn bytes(&self) -> usize {
        self.steps.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 }).sum()
    }

    /// The responses, in order.
    pub fn expected<'a>(&'a self) -> Vec<&'a Expected> {
        let expected = |step: &'a Step| match step {
            Step::Await(expected) => Some(expected),
            Step::Send(_) | Step::End => None,
        };
        self.steps.iter().filter_map(expected).collect()
    }

    /// Whether the client is the one who ends the connection.
    pub fn ends(&self) -> bool {
        self.steps.contains(&Step::End)
    }
}

/// Every case of the files beside this one.
pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases");
    let entries = std::fs::read_dir(&folder).expect("the folder of cases");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| parse(path)).collect()
}

/// The cases of one file; a line that says nothing is a mistake in the table.
fn parse(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).expect("a table in UTF-8");
    let mut table = Table::default();
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{}:{}", path.display(), number + 1);
        table.line(line).unwrap_or_else(|| panic!("{}: {line:?} is not understood", place()));
    }
    assert!(table.closed, "{}: the last case has no end", path.display());
    table.cases
}

/// What has been read of a file.
struct Table {
    services: Vec<Service>,
    cases: Vec<Case>,
    /// Whether the last case is complete.
    closed: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self { services: Vec::new(), cases: Vec::new(), closed: true }
    }
}

impl Table {
    fn line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "#" => Some(()),
            "" if line.is_empty() => Some(()),
            "@" => self.services(rest),
            "case" => self.begin(rest),
            _ if self.closed => None,
            ">" => self.send([unescape(rest)?, b"\r\n".to_vec()].concat()),
            ">>" => self.send(unescape(rest)?),
            "end" => self.step(Step::End),
            "unsplit" => self.unsplit(),
            "<" => self.step(Step::Await(Expected { status: rest.parse().ok()?, ..Expected::default() })),
            "=" => self.close(rest),
            "" => self.fact(line.trim()),
            _ => None,
        }
    }

    fn services(&mut self, names: &str) -> Option<()> {
        self.services = match names {
            "vote" => vec![Service::Vote],
            "result" => vec![Service::Result],
            "both" => vec![Service::Vote, Service::Result],
            _ => return None,
        };
        Some(())
    }

    fn begin(&mut self, name: &str) -> Option<()> {
        let has_rule = name.ends_with(']') && name.contains(" [");
        let is_new = self.cases.iter().all(|case| case.name != name);
        (self.closed && has_rule && is_new && !self.services.is_empty()).then(|| {
            self.closed = false;
            let (services, steps) = (self.services.clone(), Vec::new());
            self.cases.push(Case {
                name: name.to_owned(),
                services,
                steps,
                unsplit: false,
                stays_open: false,
            });
        })
    }

    fn case(&mut self) -> Option<&mut Case> {
        self.cases.last_mut()
    }

    fn unsplit(&mut self) -> Option<()> {
        self.case()?.unsplit = true;
        Some(())
    }

    fn step(&mut self, step: Step) -> Option<()> {
        self.case()?.steps.push(step);
        Some(())
    }

    /// Lines that are sent at once are one step.
    fn send(&mut self, bytes: Vec<u8>) -> Option<()> {
        match self.case()?.steps.last_mut() {
            Some(Step::Send(before)) => before.extend(bytes),
            _ => self.case()?.steps.push(Step::Send(bytes)),
        }
        Some(())
    }

    fn fact(&mut self, text: &str) -> Option<()> {
        let Some(Step::Await(expected)) = self.case()?.steps.last_mut() else { return None };
        let fact = match text.strip_prefix('"') {
            Some(body) => Fact::Body(body.strip_suffix('"')?.to_owned()),
            None if text == "bodiless" => {
                expected.bodiless = true;
                return Some(());
            }
            None => match text.strip_prefix("! ") {
                Some(name) => Fact::NoHeader(name.to_owned()),
                None => {
                    let (name, value) = text.split_once(": ")?;
                    Fact::Header(name.to_owned(), value.to_owned())
                }
            },
        };
        expected.facts.push(fact);
        Some(())
    }

    fn close(&mut self, how: &str) -> Option<()> {
        self.case()?.stays_open = match how {
            "open" => true,
            "closed" => false,
            _ => return None,
        };
        self.closed = true;
        Some(())
    }
}

/// The bytes that a text of the table stands for.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '\\' => rest = escaped(rest, &mut bytes)?,
            '{' => {
                let (repeated, after) = rest.split_once('}')?;
                let (piece, times) = repeated.rsplit_once('*')?;
                bytes.extend(unescape(piece)?.repeat(times.parse().ok()?));
                rest = after;
            }
            _ => bytes.extend(first.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(bytes)
}

/// Adds the byte that stands after a backslash; what follows it.
fn escaped<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let (byte, length) = match text.chars().next()? {
        'r' => (b'\r', 1),
        'n' => (b'\n', 1),
        't' => (b'\t', 1),
        '0' => (0, 1),
        '\\' => (b'\\', 1),
        'x' => (u8::from_str_radix(text.get(1..3)?, 16).ok()?, 3),
        _ => return None,
    };
    bytes.push(byte);
    text.get(length..)
}
