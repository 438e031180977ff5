//! The directory of one run, `target/compare/<time>/`: its options, its samples, its logs, its report.
//!
//! A run that was interrupted is continued from here: what is recorded is not measured again.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::record::{Run, Sample, Visit};

const RUN: &str = "run.json";
const SAMPLES: &str = "samples.jsonl";
/// Failed visits after which a substrate is left alone: each may have waited a minute for an answer.
const FAILURES_MAX: usize = 3;

/// A line of the samples' file: a visit that is over, with all that it gave. It is not made again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub visit: Visit,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
    /// Why the visit failed, with the log; then it has no samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Reasons of failures, by substrate.
pub type Failures = BTreeMap<String, Vec<String>>;

/// An open run directory.
pub struct RunDir {
    pub path: PathBuf,
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
        let file = OpenOptions::new().create(true).read(true).append(true).open(&samples);
        let file = file.with_context(|| format!("cannot write {}", samples.display()))?;
        drop_torn_line(&samples, &file)?;
        Ok(Self { path: path.to_owned(), run, file })
    }

    /// The latest run below `root`.
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

    /// All entries so far.
    ///
    /// # Errors
    /// When a whole line cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let path = self.path.join(SAMPLES);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let read = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}:{} cannot be read", path.display(), number + 1))
        };
        text.lines().enumerate().map(read).collect()
    }

    /// Visits that are over.
    pub fn done(&self) -> Result<HashSet<Visit>> {
        Ok(self.entries()?.into_iter().map(|entry| entry.visit).collect())
    }

    /// All samples, and the failures.
    pub fn samples(&self) -> Result<(Vec<Sample>, Failures)> {
        let mut samples = Vec::new();
        let mut failures = Failures::new();
        for mut entry in self.entries()? {
            samples.append(&mut entry.samples);
            if let Some(reason) = entry.failure {
                failures.entry(entry.visit.substrate).or_default().push(reason);
            }
        }
        Ok((samples, failures))
    }

    /// Whether a substrate has failed too often to be tried again in this run.
    pub fn is_given_up(&self, substrate: &str) -> Result<bool> {
        let failed = |entry: &&Entry| entry.visit.substrate == substrate && entry.failure.is_some();
        Ok(self.entries()?.iter().filter(failed).count() >= FAILURES_MAX)
    }

    /// A directory for the logs of one visit.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn logs(&self, visit: &Visit) -> Result<PathBuf> {
        let name = format!("{}-{}-{}", visit.round, visit.substrate, visit.group.name());
        let path = self.path.join("logs").join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }
}

/// Cuts off a last line that an interruption has torn.
fn drop_torn_line(path: &Path, file: &File) -> Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64).with_context(|| format!("cannot mend {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::{Group, Machine, Measure, Metric};

    /// A run without substrates.
    pub(crate) fn run() -> Run {
        let machine = Machine {
            processor: String::new(),
            cores: 2,
            memory_mib: 1,
            system: String::new(),
            kernel: String::new(),
            qemu: None,
            docker: None,
            accelerator: "tcg".to_owned(),
            generators: Vec::new(),
        };
        let begun = "2026-11-23T10:00:00Z".to_owned();
        let (substrates, peers) = (Vec::new(), Vec::new());
        Run { begun, commit: "c".to_owned(), quick: true, rounds: 1, substrates, peers, machine }
    }

    fn visit(substrate: &str) -> Visit {
        Visit { round: 0, group: Group::Size, substrate: substrate.to_owned() }
    }

    fn measured(substrate: &str) -> Entry {
        let sample = Sample {
            round: 0,
            substrate: substrate.to_owned(),
            measure: Measure::Size,
            metrics: [(Metric::Bytes, 1.0)].into(),
            curve: Vec::new(),
            timeline: Vec::new(),
            voided: None,
            note: None,
        };
        Entry { visit: visit(substrate), samples: vec![sample], failure: None }
    }

    #[test]
    fn a_torn_record_is_dropped_and_its_visit_repeated() {
        let root = tempfile::tempdir().expect("a directory");
        let mut run_dir = RunDir::create(root.path(), run()).expect("a run");
        run_dir.append(&measured("a")).expect("it is writable");
        let mut file = OpenOptions::new().append(true).open(run_dir.path.join(SAMPLES)).expect("the samples");
        file.write_all(br#"{"visit":{"rou"#).expect("it is writable");

        let mut run_dir = RunDir::open(&RunDir::latest(root.path()).expect("it is there")).expect("readable");
        assert!(run_dir.done().expect("readable") == HashSet::from([visit("a")]));
        run_dir.append(&measured("b")).expect("it is writable");
        let (samples, failures) = run_dir.samples().expect("readable");
        let measured: Vec<&str> = samples.iter().map(|sample| sample.substrate.as_str()).collect();
        assert_eq!((measured, failures.len()), (vec!["a", "b"], 0));
    }

    #[test]
    fn a_failed_visit_is_over_and_keeps_its_reason() {
        let root = tempfile::tempdir().expect("a directory");
        let mut run_dir = RunDir::create(root.path(), run()).expect("a run");
        let failure = Some("it ended".to_owned());
        run_dir.append(&Entry { samples: Vec::new(), failure, ..measured("a") }).expect("it is writable");
        let (samples, failures) = run_dir.samples().expect("readable");
        assert!(samples.is_empty());
        assert_eq!(failures["a"], ["it ended"]);
        assert!(run_dir.done().expect("readable").contains(&visit("a")));
    }

    #[test]
    fn a_substrate_that_keeps_failing_is_dropped_alone() {
        let root = tempfile::tempdir().expect("a directory");
        let mut run_dir = RunDir::create(root.path(), run()).expect("a run");
        for round in 0..3 {
            assert!(!run_dir.is_given_up("a").expect("readable"), "after {round} failures");
            let visit = Visit { round, ..visit("a") };
            let entry = Entry { visit, samples: Vec::new(), failure: Some("it ended".to_owned()) };
            run_dir.append(&entry).expect("it is writable");
        }
        assert!(run_dir.is_given_up("a").expect("readable"));
        assert!(!run_dir.is_given_up("b").expect("readable"));
    }

    #[test]
    fn what_is_no_run_is_refused_by_name() {
        let root = tempfile::tempdir().expect("a directory");
        let error = RunDir::open(root.path()).err().expect("no run").to_string();
        assert!(error.contains("is no run of `cargo compare`"), "{error}");
        assert!(RunDir::latest(root.path()).expect_err("no run").to_string().contains("holds no run"));
    }
}
