//! Every exercise is judged in all its variants: the untouched start fails, the solution passes, and each wrong one
//! fails with its message.
//!
//! `cargo test -p course --test exercises chapter_06` takes one chapter, and `EXERCISE=6.1` before it one exercise.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use course::book::markdown::Page;
use course::exercise::Exercise;
use course::exercise::catalogue;
use course::exercise::number::Selection;
use course::judge::judge;
use course::judge::verdict::{Style, Verdict};
use image_build::tool::process;
use image_build::tool::workspace::Workspace;

/// Wrong ones that an exercise must have.
const WRONG_MIN: usize = 2;
/// The variable that names the one exercise to test.
const ONE: &str = "EXERCISE";

/// A variant of an exercise, and what must be said of it.
struct Variant {
    name: String,
    folder: PathBuf,
    /// A part of the verdict of a wrong one; none for a right one.
    message: Option<String>,
}

fn workspace() -> Workspace {
    // What runs for the judge is bound to this process by the program of this package.
    process::set_tool(Path::new(env!("CARGO_BIN_EXE_course")));
    Workspace::find().expect("a workspace")
}

fn test_chapter(chapter: u8) {
    let workspace = workspace();
    let faults: Vec<String> = catalogue::select(&workspace, Selection::All)
        .expect("exercises that can be read")
        .iter()
        .filter(|exercise| exercise.number.chapter == chapter)
        .filter(|exercise| !env::var(ONE).is_ok_and(|one| one != exercise.number.typed()))
        .flat_map(|exercise| faults(&workspace, exercise))
        .collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// What is wrong with an exercise.
fn faults(workspace: &Workspace, exercise: &Exercise) -> Vec<String> {
    let mut faults = form(workspace, exercise);
    match variants(exercise) {
        Ok(variants) => {
            let wrong = variants.iter().filter(|variant| variant.message.is_some()).count();
            // The start is one more.
            if wrong < WRONG_MIN + 1 {
                faults.push(format!("{}: fewer than {WRONG_MIN} folders in wrong/", exercise.name()));
            }
            faults.extend(variants.iter().filter_map(|variant| fault(workspace, exercise, variant)));
        }
        Err(why) => faults.push(format!("{}: {why}", exercise.name())),
    }
    faults
}

/// What of its description leads nowhere.
fn form(workspace: &Workspace, exercise: &Exercise) -> Vec<String> {
    let description = &exercise.description;
    let links = description.steps.iter().filter_map(|step| step.read()).chain([description.read.as_str()]);
    let is_broken = |link: &&str| {
        let (path, heading) =
            link.split_once('#').map_or((*link, None), |(path, heading)| (path, Some(heading)));
        match heading {
            None => !workspace.root.join(path).exists(),
            Some(heading) => !Page::read(&workspace.root, path)
                .is_ok_and(|page| page.headings.iter().any(|known| known.anchor == heading)),
        }
    };
    links.filter(is_broken).map(|link| format!("{}: `read` leads nowhere: {link}", exercise.name())).collect()
}

fn variants(exercise: &Exercise) -> Result<Vec<Variant>, String> {
    let variant = |name: &str, message: Option<&str>| Variant {
        name: name.to_owned(),
        folder: name.into(),
        message: message.map(str::to_owned),
    };
    let mut variants = vec![variant("start", Some("")), variant("solution", None)];
    let wrong = exercise.folder.join("wrong");
    let entries = wrong.read_dir().map_err(|error| format!("cannot read {}: {error}", wrong.display()))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        let path = wrong.join(&name).join("message.txt");
        let message =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        if message.trim().is_empty() {
            return Err(format!("{} is empty", path.display()));
        }
        variants.push(variant(&format!("wrong/{name}"), Some(message.trim())));
    }
    Ok(variants)
}

/// What is wrong with what the judge says of a variant.
fn fault(workspace: &Workspace, exercise: &Exercise, variant: &Variant) -> Option<String> {
    let work = tempfile::tempdir().expect("room");
    let mut tree = exercise.variant(&variant.folder, &workspace.root).expect("a variant that can be read");
    tree.remove("message.txt");
    tree.write(work.path()).expect("room");
    let verdict = judge(workspace, exercise, work.path());
    let line = verdict.line(&exercise.name(), Style::Plain);
    let is_as_meant = match (&verdict, &variant.message) {
        (Verdict::Done, None) => true,
        (Verdict::NotYet(..), Some(message)) => line.contains(message),
        _ => false,
    };
    let expected = match &variant.message {
        None => "done".to_owned(),
        Some(message) if message.is_empty() => "not yet".to_owned(),
        Some(message) => format!("not yet, with `{message}`"),
    };
    (!is_as_meant)
        .then(|| format!("{} {}:\n  expected: {expected}\n  came:     {line}", exercise.number, variant.name))
}

/// A test for each chapter, so that one of them can be chosen.
macro_rules! chapters {
    ($($name:ident = $number:literal),*) => {
        $(
            #[test]
            fn $name() {
                test_chapter($number);
            }
        )*
    };
}

chapters!(
    chapter_01 = 1,
    chapter_02 = 2,
    chapter_03 = 3,
    chapter_04 = 4,
    chapter_05 = 5,
    chapter_06 = 6,
    chapter_07 = 7,
    chapter_08 = 8,
    chapter_09 = 9,
    chapter_10 = 10,
    chapter_11 = 11,
    chapter_12 = 12
);
