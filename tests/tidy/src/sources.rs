//! The files that the rules look at: what git knows of and would take, as text.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// One text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Path from the repository's root, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl Source {
    /// A Rust file.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// A file that only tests are made of.
    pub fn is_test(&self) -> bool {
        let mut folders = self.path.split('/');
        self.path.starts_with("fuzz/")
            || folders.any(|folder| matches!(folder, "tests" | "tests.rs" | "benches"))
            || self.path.ends_with("_tests.rs")
    }
}

/// All text files of the repository that this crate is part of.
///
/// # Errors
/// When git cannot be asked, or a file cannot be read.
pub fn of_repository() -> io::Result<Vec<Source>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
    let output = git.output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = listed.split('\0').filter(|path| !path.is_empty() && root.join(path).is_file());
    let mut sources = Vec::new();
    for path in paths {
        // Pictures and the like are not text.
        if let Ok(text) = String::from_utf8(fs::read(root.join(path))?) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

/// A file for the tests of rules.
#[cfg(test)]
pub(crate) fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}
