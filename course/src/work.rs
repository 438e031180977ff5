//! The reader's folder: `course-work/` at the repository's root, or where `COURSE_WORK` says.
//!
//! What the reader has written is never written over.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image_build::tool::workspace::Workspace;

use crate::exercise::Exercise;
use crate::exercise::tree::Tree;

/// The variable that puts the folder elsewhere.
const VARIABLE: &str = "COURSE_WORK";
/// Its name at the repository's root.
const NAME: &str = "course-work";
/// What a solution's folder ends in, beside the work's.
const SOLUTION: &str = "-solution";

/// The reader's folder.
#[derive(Clone, Debug)]
pub struct Work {
    /// Where it is. It is made when something is to be put in.
    pub folder: PathBuf,
    repository: PathBuf,
}

/// What beginning an exercise has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It was not there.
    Now,
    /// It was there, and these files of it were put back.
    Mended(Vec<PathBuf>),
}

impl Work {
    /// The folder.
    ///
    /// # Errors
    /// When the variable names no path.
    pub fn find(workspace: &Workspace) -> Result<Self> {
        let given = env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let folder = given.unwrap_or_else(|| workspace.root.join(NAME));
        let folder = std::path::absolute(&folder)
            .with_context(|| format!("{VARIABLE}={} is no path", folder.display()))?;
        Ok(Self { folder, repository: workspace.root.clone() })
    }

    /// Where an exercise's work is.
    pub fn of(&self, exercise: &Exercise) -> PathBuf {
        self.folder.join(exercise.folder_name())
    }

    /// Whether an exercise was begun.
    pub fn has(&self, exercise: &Exercise) -> bool {
        self.of(exercise).is_dir()
    }

    /// Copies what an exercise starts with, or those files of it that are missing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&self, exercise: &Exercise) -> Result<Begun> {
        let (folder, start) = (self.of(exercise), exercise.start(&self.repository)?);
        if !folder.is_dir() {
            self.put(&start, &folder)?;
            return Ok(Begun::Now);
        }
        let there = Tree::read(&folder)?;
        let missing: Vec<PathBuf> = start.missing_in(&there).map(Path::to_owned).collect();
        let mut whole = start;
        whole.overlay(there);
        whole.write(&folder)?;
        Ok(Begun::Mended(missing))
    }

    /// Puts the solution beside the work, and returns where.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_solution(&self, exercise: &Exercise, solution: &Tree) -> Result<PathBuf> {
        let folder = self.folder.join(exercise.folder_name() + SOLUTION);
        if folder.is_dir() {
            solution.write_alone(&folder)?;
        } else {
            self.put(solution, &folder)?;
        }
        Ok(folder)
    }

    /// A folder is there as a whole or not at all.
    fn put(&self, tree: &Tree, folder: &Path) -> Result<()> {
        let unwritable = || format!("cannot write {}", folder.display());
        fs::create_dir_all(&self.folder).with_context(unwritable)?;
        let half =
            tempfile::Builder::new().prefix(".half-").tempdir_in(&self.folder).with_context(unwritable)?;
        let whole = half.path().join("whole");
        fs::create_dir(&whole).with_context(unwritable)?;
        tree.write(&whole)?;
        fs::rename(&whole, folder).with_context(unwritable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::number::Number;

    const DESCRIPTION: &str = "title = \"t\"\ngrade = \"easy\"\ngoal = \"g\"\nread = \"r\"\nminutes = 1\n\
        hints = [\"a\", \"b\"]\n[[step]]\nkind = \"test\"\n";

    #[test]
    fn what_the_reader_wrote_stays_and_what_is_missing_comes_back() {
        let root = tempfile::tempdir().expect("a folder");
        let own = root.path().join("06.1-x");
        let mut files = Tree::default();
        for (path, text) in [
            ("exercise.toml", DESCRIPTION),
            ("start/src/lib.rs", "old"),
            ("start/Cargo.toml", "path = \"{repository}\""),
            ("solution/src/lib.rs", "new"),
        ] {
            files.insert(path, text.as_bytes().to_vec());
        }
        files.write(&own).expect("written");
        let exercise = Exercise::load(Number { chapter: 6, index: 1 }, &own).expect("an exercise");
        let work = Work { folder: root.path().join("work"), repository: "/r".into() };
        assert!(!work.has(&exercise));
        assert_eq!(work.begin(&exercise).expect("begun"), Begun::Now);
        let folder = work.of(&exercise);
        fs::write(folder.join("src/lib.rs"), "mine").expect("written");
        fs::remove_file(folder.join("Cargo.toml")).expect("removed");
        assert_eq!(work.begin(&exercise).expect("mended"), Begun::Mended(vec!["Cargo.toml".into()]));
        let solution = exercise.variant(Path::new("solution"), Path::new("/r")).expect("a solution");
        let beside = work.put_solution(&exercise, &solution).expect("put");
        let read = |path: PathBuf| fs::read_to_string(path).expect("a file");
        assert_eq!(read(folder.join("src/lib.rs")), "mine");
        assert_eq!(read(folder.join("Cargo.toml")), "path = \"/r\"");
        assert_eq!(read(beside.join("src/lib.rs")), "new");
    }
}
