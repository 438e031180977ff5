//! A folder's files, held in memory: laid over each other, and written elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use image_build::tool::files::write_whole;

/// What stands for the repository's path in files.
const REPOSITORY: &str = "{repository}";
/// What cargo makes in a reader's folder, and version control.
const MADE: [&str; 3] = ["target", "Cargo.lock", ".git"];
/// Most files of a folder, and their bytes.
const FILES_MAX: usize = 500;
const BYTES_MAX: u64 = 16 << 20;
/// Folders within each other.
const DEPTH_MAX: usize = 16;

/// Files by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Vec<u8>>);

impl Tree {
    /// Reads a folder, without what cargo makes in it.
    ///
    /// # Errors
    /// When it is not there, or holds more than an exercise does.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.add(folder, Path::new(""), 0)?;
        Ok(tree)
    }

    fn add(&mut self, root: &Path, inside: &Path, depth: usize) -> Result<()> {
        let folder = root.join(inside);
        let unreadable = || format!("cannot read {}", folder.display());
        ensure!(depth <= DEPTH_MAX, "{} lies too deep", folder.display());
        for entry in folder.read_dir().with_context(unreadable)? {
            let name = entry.with_context(unreadable)?.file_name();
            if depth == 0 && MADE.iter().any(|made| name == *made) {
                continue;
            }
            let path = inside.join(name);
            let kind =
                fs::metadata(root.join(&path)).with_context(|| format!("cannot read {}", path.display()))?;
            if kind.is_dir() {
                self.add(root, &path, depth + 1)?;
            } else if kind.is_file() {
                self.add_file(root, path, kind.len())?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, root: &Path, path: PathBuf, length: u64) -> Result<()> {
        let held: u64 = self.0.values().map(|bytes| bytes.len() as u64).sum();
        ensure!(
            self.0.len() < FILES_MAX && held.saturating_add(length) <= BYTES_MAX,
            "{} has more than {FILES_MAX} files or {} MiB: move out what is not of the exercise",
            root.display(),
            BYTES_MAX >> 20
        );
        let bytes = fs::read(root.join(&path)).with_context(|| format!("cannot read {}", path.display()))?;
        self.0.insert(path, bytes);
        Ok(())
    }

    /// The same files, in which the repository's path stands where it belongs.
    pub fn placed(mut self, repository: &Path) -> Self {
        let path = repository.to_string_lossy();
        for bytes in self.0.values_mut() {
            if let Ok(text) = str::from_utf8(bytes)
                && text.contains(REPOSITORY)
            {
                *bytes = text.replace(REPOSITORY, &path).into_bytes();
            }
        }
        self
    }

    /// Lays files over these.
    pub fn overlay(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Puts a file in.
    pub fn insert(&mut self, path: &str, bytes: Vec<u8>) {
        self.0.insert(path.into(), bytes);
    }

    /// Takes a file out.
    pub fn remove(&mut self, path: &str) {
        self.0.remove(Path::new(path));
    }

    /// The text of a file, if it is there.
    pub fn text(&self, path: &str) -> Option<String> {
        self.0.get(Path::new(path)).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice()))
    }

    /// The paths of files that another one lacks.
    pub fn missing_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Path> {
        self.0.keys().filter(|path| !other.0.contains_key(*path)).map(PathBuf::as_path)
    }

    /// Writes the files into a folder. One that has the same content is not touched, so that what was built of it
    /// serves again.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        for (path, bytes) in &self.0 {
            let path = folder.join(path);
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
            write_whole(&path, bytes)?;
        }
        Ok(())
    }

    /// The same, and no other file stays in the folder, but for what cargo makes.
    ///
    /// # Errors
    /// When a file cannot be written or removed.
    pub fn write_alone(&self, folder: &Path) -> Result<()> {
        if folder.is_dir() {
            for path in Self::read(folder)?.missing_in(self) {
                let path = folder.join(path);
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        self.write(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path, text.as_bytes().to_vec());
        }
        tree
    }

    #[test]
    fn a_folder_becomes_what_a_tree_is_and_keeps_what_cargo_made() {
        let folder = tempfile::tempdir().expect("a folder");
        tree(&[("src/lib.rs", "1"), ("src/old.rs", "2"), ("Cargo.lock", "3"), ("target/x", "4")])
            .write(folder.path())
            .expect("written");
        let new = tree(&[("src/lib.rs", "new"), ("tests/judge.rs", "5")]);
        new.write_alone(folder.path()).expect("written");
        assert_eq!(Tree::read(folder.path()).expect("read"), new);
        assert!(folder.path().join("Cargo.lock").is_file() && folder.path().join("target/x").is_file());
    }

    #[test]
    fn what_is_laid_over_wins_and_paths_are_placed() {
        let mut start = tree(&[("a", "{repository}/wire"), ("b", "old")]);
        start.overlay(tree(&[("b", "new")]));
        let placed = start.placed(Path::new("/r"));
        assert_eq!(placed, tree(&[("a", "/r/wire"), ("b", "new")]));
        assert_eq!(placed.missing_in(&tree(&[("a", "")])).collect::<Vec<_>>(), [Path::new("b")]);
    }

    #[test]
    fn a_folder_with_too_much_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let large = fs::File::create(folder.path().join("core")).expect("a file");
        large.set_len(BYTES_MAX + 1).expect("a sparse file");
        let error = Tree::read(folder.path()).expect_err("refused").to_string();
        assert!(error.contains("16 MiB: move out"), "{error}");
    }
}
