//! The judge's own copy of a work, and the tools that work on it.
//!
//! The copy is in `target/course/build/`, and what cargo makes of all copies in one target directory, so that what they
//! depend on is compiled once. One judge at a time works there.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use image_build::tool::process;
use image_build::tool::workspace::Workspace;

use crate::exercise::Exercise;
use crate::exercise::tree::Tree;
use crate::judge::limits::{self, Limits, Ran};

/// How long another judge may take.
const OTHER_LIMIT: Duration = Duration::from_secs(600);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Versions of all that exercises depend on.
const LOCK_FILE: &str = "Cargo.lock";

/// A copy of a work, on which the judge may do what it likes.
#[derive(Debug)]
pub struct Bench<'a> {
    /// The repository.
    pub workspace: &'a Workspace,
    /// What is judged.
    pub exercise: &'a Exercise,
    /// The files of the work, without the judge's.
    pub work: Tree,
    /// Where the copy is.
    pub folder: PathBuf,
    /// Where cargo puts what it makes of copies.
    pub target: PathBuf,
    /// Held as long as the judge works.
    _lock: File,
}

impl<'a> Bench<'a> {
    /// Copies a work, and lays the judge's files over the copy.
    ///
    /// # Errors
    /// When it cannot be read or copied, or another judge does not come to an end.
    pub fn prepare(workspace: &'a Workspace, exercise: &'a Exercise, work: Tree) -> Result<Self> {
        let own = workspace.target.join("course");
        let folder = own.join("build").join(exercise.number.to_string());
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let lock = lock(&own.join("judge.lock"))?;
        let bench = Self { workspace, exercise, work, folder, target: own.join("target"), _lock: lock };
        bench.copy(&bench.work)?;
        Ok(bench)
    }

    /// Does something with what the exercise starts with in the place of the work.
    ///
    /// Cargo takes packages of one name for the same, wherever they lie, and builds again only what is newer than what
    /// it has built. So the start is written to where the work was.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare), and those of `act`.
    pub fn with_start<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        self.copy(&self.exercise.start(&self.workspace.root)?)?;
        let done = act();
        self.copy(&self.work)?;
        done
    }

    fn copy(&self, work: &Tree) -> Result<()> {
        let mut tree = work.clone();
        tree.overlay(self.exercise.judges_files(&self.workspace.root)?);
        tree.write_alone(&self.folder)?;
        // Cargo takes out what the work does not need.
        let versions = self.workspace.root.join(LOCK_FILE);
        if tree.text("Cargo.toml").is_some() {
            fs::copy(&versions, self.folder.join(LOCK_FILE)).with_context(|| {
                format!("cannot copy {} to {}", versions.display(), self.folder.display())
            })?;
        }
        Ok(())
    }

    /// Runs a command within limits, so that it ends with this process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, command: &Command, limits: Limits) -> Result<Ran> {
        limits::run(&mut process::bound(command)?, limits)
    }
}

fn lock(path: &Path) -> Result<File> {
    let unusable = || format!("cannot lock {}", path.display());
    let file = File::create(path).with_context(unusable)?;
    let deadline = Instant::now() + OTHER_LIMIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error).with_context(unusable),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                bail!("another `cargo course check` has been running for {} s: end it", OTHER_LIMIT.as_secs())
            }
            Err(TryLockError::WouldBlock) => thread::sleep(POLL),
        }
    }
}
