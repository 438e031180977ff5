//! An exercise as its folder has it: number, description, start, solution, wrong ones.

pub mod catalogue;
pub mod format;
pub mod number;
mod pattern;
pub mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::exercise::format::Description;
use crate::exercise::number::Number;
use crate::exercise::tree::Tree;

/// The file that describes an exercise.
const DESCRIPTION: &str = "exercise.toml";

/// An exercise.
#[derive(Clone, Debug)]
pub struct Exercise {
    /// Its number.
    pub number: Number,
    /// Its folder.
    pub folder: PathBuf,
    /// What it is.
    pub description: Description,
}

impl Exercise {
    /// Reads the exercise in a folder.
    ///
    /// # Errors
    /// When it is not one; the error names file and key.
    pub fn load(number: Number, folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let description =
            Description::parse(&text).with_context(|| format!("{} cannot be used", path.display()))?;
        Ok(Self { number, folder: folder.to_owned(), description })
    }

    /// Number and title, as they stand in a verdict.
    pub fn name(&self) -> String {
        format!("{} {}", self.number, self.description.title)
    }

    /// The name of its folder, which the reader's has as well.
    pub fn folder_name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What the reader gets.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn start(&self, repository: &Path) -> Result<Tree> {
        Ok(Tree::read(&self.folder.join("start"))?.placed(repository))
    }

    /// What a right or wrong one is made of: the start, with the files in this folder of the exercise.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn variant(&self, folder: &Path, repository: &Path) -> Result<Tree> {
        let mut tree = self.start(repository)?;
        tree.overlay(Tree::read(&self.folder.join(folder))?.placed(repository));
        Ok(tree)
    }

    /// What the judge adds to a work.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn judges_files(&self, repository: &Path) -> Result<Tree> {
        let folder = self.folder.join("judge");
        if !folder.is_dir() {
            return Ok(Tree::default());
        }
        Ok(Tree::read(&folder)?.placed(repository))
    }
}
