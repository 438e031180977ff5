//! How far the reader has come: a small file in the reader's folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};
use image_build::tool::files::write_whole;
use serde::{Deserialize, Serialize};

use crate::exercise::number::Number;
use crate::work::Work;

/// Name of the file.
const NAME: &str = "progress.toml";

/// What is known of an exercise's reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mark {
    /// Whether the work was right when it was last judged.
    pub is_done: bool,
    /// Hints that were given.
    pub hints: usize,
    /// Whether the solution was shown.
    pub solution_seen: bool,
}

/// The marks of all exercises.
#[derive(Debug)]
pub struct Progress {
    path: PathBuf,
    marks: BTreeMap<String, Mark>,
}

impl Progress {
    /// Reads the file. A damaged one is told, put aside and begun anew.
    ///
    /// # Errors
    /// When it is there and cannot be read or put aside.
    pub fn load(work: &Work) -> Result<Self> {
        let path = work.folder.join(NAME);
        let marks = match fs::read(&path) {
            Ok(bytes) => match parse(&bytes) {
                Ok(marks) => marks,
                Err(why) => {
                    let aside = path.with_extension("toml.damaged");
                    fs::rename(&path, &aside).with_context(|| format!("cannot rename {}", path.display()))?;
                    note!(
                        "{} is damaged ({why}): it is begun anew, and the old one is {}; `cargo course check all` \
                         finds again what is done",
                        path.display(),
                        aside.display()
                    );
                    BTreeMap::new()
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self { path, marks })
    }

    /// What is known of an exercise.
    pub fn of(&self, number: Number) -> Mark {
        self.marks.get(&number.to_string()).cloned().unwrap_or_default()
    }

    /// Changes what is known of an exercise.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn change(&mut self, number: Number, change: impl FnOnce(&mut Mark)) -> Result<()> {
        change(self.marks.entry(number.to_string()).or_default());
        let folder = self.path.parent().context("a file without a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        write_whole(&self.path, toml::to_string(&self.marks)?.as_bytes())
    }
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Mark>, String> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_build::tool::workspace::Workspace;

    const NUMBER: Number = Number { chapter: 6, index: 1 };

    fn work() -> (tempfile::TempDir, Work) {
        let folder = tempfile::tempdir().expect("a folder");
        let workspace = Workspace { root: folder.path().to_owned(), target: folder.path().join("target") };
        let work = Work::find(&workspace).expect("a folder");
        (folder, work)
    }

    #[test]
    fn what_is_noted_is_there_the_next_time() {
        let (_folder, work) = work();
        let mut progress = Progress::load(&work).expect("none yet");
        assert_eq!(progress.of(NUMBER), Mark::default());
        progress.change(NUMBER, |mark| mark.hints = 2).expect("written");
        progress.change(NUMBER, |mark| mark.is_done = true).expect("written");
        let again = Progress::load(&work).expect("read").of(NUMBER);
        assert_eq!(again, Mark { is_done: true, hints: 2, solution_seen: false });
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_begun_anew() {
        let (_folder, work) = work();
        fs::create_dir_all(&work.folder).expect("a folder");
        let damages: [&[u8]; 3] = [b"\xff\xfe", b"[\"06.1\"]\nhints = \"two\"", b"= ="];
        for damage in damages {
            fs::write(work.folder.join(NAME), damage).expect("written");
            let mut progress = Progress::load(&work).expect("mended");
            assert_eq!(progress.of(NUMBER), Mark::default());
            progress.change(NUMBER, |mark| mark.is_done = true).expect("written");
            assert!(Progress::load(&work).expect("read").of(NUMBER).is_done);
            assert_eq!(fs::read(work.folder.join("progress.toml.damaged")).expect("kept"), damage);
        }
    }
}
