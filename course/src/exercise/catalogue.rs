//! All exercises of the course, and those that a reader means.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use image_build::tool::workspace::Workspace;

use crate::exercise::Exercise;
use crate::exercise::number::{Number, Selection};

/// The exercises that are meant, in order.
///
/// # Errors
/// When there are none such, with those that are near; or one cannot be read.
pub fn select(workspace: &Workspace, selection: Selection) -> Result<Vec<Exercise>> {
    select_in(&workspace.root.join("course/exercises"), selection)
}

/// The one exercise that is meant.
///
/// # Errors
/// As [`select`], and when a chapter is given.
pub fn one(workspace: &Workspace, text: &str) -> Result<Exercise> {
    match text.parse()? {
        selection @ Selection::One(_) => {
            select(workspace, selection)?.pop().with_context(|| format!("there is no exercise {text}"))
        }
        _ => bail!("{text} is more than one exercise: give one, such as `6.2`"),
    }
}

fn select_in(folder: &Path, selection: Selection) -> Result<Vec<Exercise>> {
    let all = folders(folder)?;
    let is_meant = |number: &Number| match selection {
        Selection::All => true,
        Selection::Chapter(chapter) => number.chapter == chapter,
        Selection::One(one) => *number == one,
    };
    let meant: Vec<_> = all.iter().filter(|(number, _)| is_meant(number)).collect();
    ensure!(!meant.is_empty(), "{}", near(&all, selection));
    meant.into_iter().map(|(number, folder)| Exercise::load(*number, folder)).collect()
}

fn folders(folder: &Path) -> Result<BTreeMap<Number, PathBuf>> {
    let mut found = BTreeMap::new();
    let unreadable = || format!("cannot read {}", folder.display());
    for entry in folder.read_dir().with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(number) = Number::of_folder(name).filter(|_| path.is_dir()) else { continue };
        if let Some(other) = found.insert(number, path.clone()) {
            bail!("{} and {} have the same number", other.display(), path.display());
        }
    }
    Ok(found)
}

/// What is said to whoever means what is not there.
fn near(all: &BTreeMap<Number, PathBuf>, selection: Selection) -> String {
    let (what, chapter) = match selection {
        Selection::All => return "there are no exercises".to_owned(),
        Selection::Chapter(chapter) => (format!("chapter {chapter} with exercises"), chapter),
        Selection::One(number) => (format!("exercise {}", number.typed()), number.chapter),
    };
    let of_chapter: Vec<String> =
        all.keys().filter(|number| number.chapter == chapter).map(|number| number.typed()).collect();
    if !of_chapter.is_empty() {
        return format!("there is no {what}: chapter {chapter} has {}", of_chapter.join(", "));
    }
    let chapters: BTreeSet<u8> = all.keys().map(|number| number.chapter).collect();
    let chapters: Vec<String> = chapters.iter().map(u8::to_string).collect();
    format!("there is no {what}: there are exercises in the chapters {}", chapters.join(", "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for name in names {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        folder
    }

    fn refusal(folder: &Path, meant: &str) -> String {
        let selection = meant.parse().expect("a selection");
        format!("{:#}", select_in(folder, selection).expect_err("refused"))
    }

    #[test]
    fn who_means_what_is_not_there_is_told_what_is_near() {
        let folder = with(&["06.1-a", "06.2-b", "12.1-c", "notes"]);
        assert_eq!(refusal(folder.path(), "6.3"), "there is no exercise 6.3: chapter 6 has 6.1, 6.2");
        let text = refusal(folder.path(), "7");
        assert_eq!(text, "there is no chapter 7 with exercises: there are exercises in the chapters 6, 12");
    }

    #[test]
    fn two_with_one_number_and_one_without_a_description_are_named() {
        let folder = with(&["06.1-a", "06.1-b"]);
        assert!(refusal(folder.path(), "6").contains("have the same number"));
        let folder = with(&["06.1-a"]);
        assert!(refusal(folder.path(), "6.1").contains("06.1-a/exercise.toml"));
    }
}
