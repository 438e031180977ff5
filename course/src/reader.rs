//! The commands that a reader types: begin an exercise, have it judged, get a hint, see the solution, see the progress.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use image_build::tool::workspace::Workspace;
use similar::TextDiff;

use crate::exercise::Exercise;
use crate::exercise::catalogue;
use crate::exercise::number::Selection;
use crate::exercise::tree::Tree;
use crate::judge::verdict::{Style, Verdict};
use crate::judge::{self, interrupt};
use crate::progress::{Mark, Progress};
use crate::work::{Begun, Work};

/// Lines around a change that are shown of a solution.
const DIFF_CONTEXT_LINES: usize = 3;

/// Judges exercises, a line for each. One that is meant alone is begun first; of several, those that were begun are
/// judged.
///
/// # Errors
/// When there is no such exercise, or a file of the reader's folder cannot be written.
pub fn check(workspace: &Workspace, meant: &str) -> Result<ExitCode> {
    let selection: Selection = meant.parse()?;
    let (work, style) = (Work::find(workspace)?, Style::of_output());
    let mut progress = Progress::load(&work)?;
    interrupt::catch()?;
    let mut all_done = true;
    for exercise in catalogue::select(workspace, selection)? {
        if matches!(selection, Selection::One(_)) {
            if !work.has(&exercise) {
                begin(&work, &exercise)?;
            }
        } else if !work.has(&exercise) {
            say!("{}: not begun: cargo course start {}", exercise.name(), exercise.number.typed())?;
            all_done = false;
            continue;
        }
        let verdict = judge::judge(workspace, &exercise, &work.of(&exercise));
        say!("{}", verdict.line(&exercise.name(), style))?;
        let is_done = verdict == Verdict::Done;
        all_done &= is_done;
        if !matches!(verdict, Verdict::Unjudged(_)) {
            progress.change(exercise.number, |mark| mark.is_done = is_done)?;
        }
    }
    Ok(if all_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Copies what an exercise starts with, or what of it is missing.
///
/// # Errors
/// When there is no such exercise, or it cannot be written.
pub fn start(workspace: &Workspace, meant: &str) -> Result<()> {
    begin(&Work::find(workspace)?, &catalogue::one(workspace, meant)?)
}

fn begin(work: &Work, exercise: &Exercise) -> Result<()> {
    let (folder, number) = (work.of(exercise), exercise.number.typed());
    let begun = work.begin(exercise)?;
    match begun {
        Begun::Now => say!("{}: begun in {}", exercise.name(), folder.display())?,
        Begun::Mended(files) if files.is_empty() => {
            say!("{}: was begun in {}; nothing is changed", exercise.name(), folder.display())?;
        }
        Begun::Mended(files) => {
            let files: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
            say!("{}: put back in {}: {}", exercise.name(), folder.display(), files.join(", "))?;
        }
    }
    let description = &exercise.description;
    say!("{}", description.goal)?;
    say!(
        "{}, about {} minutes; read {}\nthen: cargo course check {number}; help: cargo course hint {number}",
        description.grade,
        description.minutes,
        description.read
    )?;
    Ok(())
}

/// Gives one more hint.
///
/// # Errors
/// When there is no such exercise, or it cannot be noted.
pub fn hint(workspace: &Workspace, meant: &str) -> Result<()> {
    let exercise = catalogue::one(workspace, meant)?;
    let mut progress = Progress::load(&Work::find(workspace)?)?;
    let hints = &exercise.description.hints;
    let given = progress.of(exercise.number).hints;
    let Some(hint) = hints.get(given) else {
        for (at, hint) in hints.iter().enumerate() {
            say!("{}, hint {} of {}: {hint}", exercise.name(), at + 1, hints.len())?;
        }
        say!("that was all: cargo course solve {} shows the solution", exercise.number.typed())?;
        return Ok(());
    };
    say!("{}, hint {} of {}: {hint}", exercise.name(), given + 1, hints.len())?;
    progress.change(exercise.number, |mark| mark.hints = given + 1)
}

/// Shows the solution, as what it changes of the start, and puts it beside the reader's work.
///
/// # Errors
/// When there is no such exercise, or it cannot be written.
pub fn solve(workspace: &Workspace, meant: &str) -> Result<()> {
    let exercise = catalogue::one(workspace, meant)?;
    let work = Work::find(workspace)?;
    let mut progress = Progress::load(&work)?;
    let start = exercise.start(&workspace.root)?;
    let solution = exercise.variant(Path::new("solution"), &workspace.root)?;
    say!("{}", difference(&start, &solution).trim_end())?;
    let folder = work.put_solution(&exercise, &solution)?;
    progress.change(exercise.number, |mark| mark.solution_seen = true)?;
    say!("\nThe solution is in {}; your work is as it was.", folder.display())?;
    Ok(())
}

/// What one tree changes of another, as `diff -u` writes it.
fn difference(old: &Tree, new: &Tree) -> String {
    let mut text = String::new();
    for (path, bytes) in new.files() {
        let name = path.display().to_string();
        let before = old.text(&name).unwrap_or_default();
        let after = String::from_utf8_lossy(bytes);
        if before != after {
            let diff = TextDiff::from_lines(before.as_str(), &after);
            let mut unified = diff.unified_diff();
            text += &unified
                .context_radius(DIFF_CONTEXT_LINES)
                .header(&format!("start/{name}"), &format!("solution/{name}"))
                .to_string();
        }
    }
    text
}

/// Shows what is done, chapter by chapter, and what is next.
///
/// # Errors
/// When the exercises or the reader's folder cannot be read.
pub fn progress(workspace: &Workspace) -> Result<()> {
    let (work, style) = (Work::find(workspace)?, Style::of_output());
    let progress = Progress::load(&work)?;
    let exercises = catalogue::select(workspace, Selection::All)?;
    let states: Vec<State> = exercises
        .iter()
        .map(|exercise| State::of(work.has(exercise), &progress.of(exercise.number)))
        .collect();
    let width =
        exercises.iter().map(|exercise| exercise.description.title.chars().count()).max().unwrap_or(0);
    let mut chapter = 0;
    for (exercise, state) in exercises.iter().zip(&states) {
        let (number, description) = (exercise.number, &exercise.description);
        if number.chapter != chapter {
            chapter = number.chapter;
            say!("Chapter {chapter}")?;
        }
        say!(
            "  {:>4}  {:width$}  {:6}  {:>3} min  {}",
            number.typed(),
            description.title,
            description.grade,
            description.minutes,
            state.shown(style)
        )?;
    }
    let done = states.iter().filter(|state| **state == State::Done).count();
    let open = exercises.iter().zip(&states).filter(|(_, state)| **state != State::Done);
    let next = open.clone().find(|(_, state)| **state == State::Begun).or_else(|| open.clone().next());
    let next = next.map_or_else(
        || "all are done".to_owned(),
        |(exercise, state)| {
            let command = if *state == State::NotBegun { "start" } else { "check" };
            format!("next: cargo course {command} {}", exercise.number.typed())
        },
    );
    say!("{done} of {} done; {next}", exercises.len())?;
    Ok(())
}

/// How far the reader is with an exercise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotBegun,
    Begun,
    Done,
    SolutionSeen,
}

impl State {
    fn of(is_begun: bool, mark: &Mark) -> Self {
        match (mark.is_done, mark.solution_seen, is_begun) {
            (true, ..) => Self::Done,
            (_, true, _) => Self::SolutionSeen,
            (.., true) => Self::Begun,
            _ => Self::NotBegun,
        }
    }

    fn shown(self, style: Style) -> String {
        match self {
            Self::NotBegun => "not begun".to_owned(),
            Self::Begun => style.bad("begun"),
            Self::Done => style.good("done"),
            Self::SolutionSeen => style.bad("solution seen"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_the_furthest_that_was_reached() {
        let mark = |is_done, solution_seen| Mark { is_done, hints: 0, solution_seen };
        assert_eq!(State::of(false, &mark(false, false)), State::NotBegun);
        assert_eq!(State::of(true, &mark(false, false)), State::Begun);
        assert_eq!(State::of(true, &mark(false, true)), State::SolutionSeen);
        assert_eq!(State::of(true, &mark(true, true)), State::Done);
    }

    #[test]
    fn a_solution_is_shown_as_what_it_changes() {
        let (mut old, mut new) = (Tree::default(), Tree::default());
        old.insert("same", b"x\n".to_vec());
        new.insert("same", b"x\n".to_vec());
        old.insert("src/lib.rs", b"a\nb\n".to_vec());
        new.insert("src/lib.rs", b"a\nc\n".to_vec());
        let text = difference(&old, &new);
        assert_eq!(text, "--- start/src/lib.rs\n+++ solution/src/lib.rs\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
    }
}
