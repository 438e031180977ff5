//! The directory of one run, `target/compare/<time>/`: its options, its samples, its logs, its report.
//!
//! A run that was interrupted is continued from here: what is recorded is not measured again.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::record::{Group, Sample};
use crate::results::Machine;

const RUN: &str = "run.json";
const SAMPLES: &str = "samples.jsonl";

/// What a run is, decided when it begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// When it began, in RFC 3339, UTC.
    pub begun: String,
    /// Commit of the clone, with `+` when files differ from it.
    pub commit: String,
    /// Whether it is the short run.
    pub quick: bool,
    /// How often each measurement is repeated.
    pub rounds: u32,
    /// Substrates that are measured, by identifier; each with why it cannot be, if so.
    pub substrates: Vec<(String, Option<String>)>,
    /// The machine.
    pub machine: Machine,
}

/// A line of the samples' file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// A measurement.
    Sample(Sample),
    /// A visit that is over; it is not made again.
    Done(Visit),
    /// A substrate failed in a visit: why, with its log.
    Failed {
        /// The visit.
        visit: Visit,
        /// Reason and log.
        reason: String,
    },
}

/// Reasons of failures, by substrate.
pub type Failures = BTreeMap<String, Vec<String>>;

/// One group of measurements on one substrate in one round.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Visit {
    /// Round, from 0.
    pub round: u32,
    /// What is measured.
    pub group: Group,
    /// Where.
    pub substrate: String,
}

/// An open run directory.
pub struct RunDir {
    /// Its path.
    pub path: PathBuf,
    /// What the run is.
    pub run: Run,
    file: File,
}

impl RunDir {
    /// A new directory for `run` below `root`, named by the time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(root: &Path, run: Run) -> Result<Self> {
        let path = root.join(run.begun.replace(':', "-"));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        fs::write(path.join(RUN), serde_json::to_string_pretty(&run)?).context("cannot write run.json")?;
        Self::open(&path)
    }

    /// A run that has begun.
    ///
    /// # Errors
    /// When there is none in `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let run = path.join(RUN);
        let text = fs::read_to_string(&run)
            .with_context(|| format!("{} is no run of `cargo compare`: it has no {RUN}", path.display()))?;
        let run = serde_json::from_str(&text).with_context(|| format!("cannot read {}", run.display()))?;
        let samples = path.join(SAMPLES);
        let file = OpenOptions::new().create(true).append(true).open(&samples);
        let file = file.with_context(|| format!("cannot write {}", samples.display()))?;
        Ok(Self { path: path.to_owned(), run, file })
    }

    /// The latest run below `root`.
    ///
    /// # Errors
    /// When there is none.
    pub fn latest(root: &Path) -> Result<PathBuf> {
        let entries = fs::read_dir(root).with_context(|| format!("cannot list {}", root.display()))?;
        let runs = entries.flatten().map(|entry| entry.path()).filter(|path| path.join(RUN).is_file());
        runs.max().with_context(|| format!("{} holds no run: start one with `cargo compare`", root.display()))
    }

    /// Appends an entry; it is in the file when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_string(entry)?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).context("cannot append to the samples")
    }

    /// All entries so far. A last line that was torn by an interruption does not count.
    ///
    /// # Errors
    /// When a whole line cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let path = self.path.join(SAMPLES);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let read = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}:{} cannot be read", path.display(), number + 1))
        };
        whole.lines().enumerate().map(read).collect()
    }

    /// Visits that are over.
    ///
    /// # Errors
    /// As [`entries`](Self::entries).
    pub fn done(&self) -> Result<HashSet<Visit>> {
        let over = |entry| match entry {
            Entry::Done(visit) | Entry::Failed { visit, .. } => Some(visit),
            Entry::Sample(_) => None,
        };
        Ok(self.entries()?.into_iter().filter_map(over).collect())
    }

    /// Samples of visits that are over, and failures by substrate.
    ///
    /// # Errors
    /// As [`entries`](Self::entries).
    pub fn outcome(&self) -> Result<(Vec<Sample>, Failures)> {
        let mut samples = Vec::new();
        let mut pending = Vec::new();
        let mut failures = Failures::new();
        for entry in self.entries()? {
            match entry {
                Entry::Sample(sample) => pending.push(sample),
                Entry::Done(_) => samples.append(&mut pending),
                Entry::Failed { visit, reason } => {
                    pending.clear();
                    failures.entry(visit.substrate).or_default().push(reason);
                }
            }
        }
        Ok((samples, failures))
    }

    /// A directory for the logs of one visit.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn logs(&self, visit: &Visit) -> Result<PathBuf> {
        let group = serde_json::to_value(visit.group)?;
        let group = group.as_str().context("a group is not a name")?;
        let path = self.path.join("logs").join(format!("{}-{}-{group}", visit.round, visit.substrate));
        ensure!(fs::create_dir_all(&path).is_ok(), "cannot create {}", path.display());
        Ok(path)
    }
}
