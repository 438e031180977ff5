//! The judge: says of an exercise whether it is done, and if not, what was expected, what came and where to read.

mod answered;
mod bench;
mod booted;
mod compiler;
mod counted;
mod figure;
pub mod interrupt;
mod limits;
mod machine;
mod panic;
mod request;
mod sized;
mod tested;
pub mod verdict;

use std::path::Path;

use anyhow::Result;
use image_build::tool::workspace::Workspace;

use crate::exercise::Exercise;
use crate::exercise::format::Step;
use crate::exercise::tree::Tree;
use crate::judge::bench::Bench;
use crate::judge::verdict::{Fault, Verdict};

/// Judges the work in a folder. The folder stays as it is.
pub fn judge(workspace: &Workspace, exercise: &Exercise, work: &Path) -> Verdict {
    match judged(workspace, exercise, work) {
        Ok(verdict) => verdict,
        Err(error) => Verdict::Unjudged(Fault::told(&format!("{error:#}"))),
    }
}

fn judged(workspace: &Workspace, exercise: &Exercise, folder: &Path) -> Result<Verdict> {
    let description = &exercise.description;
    let work = Tree::read(folder)?;
    let start = exercise.start(&workspace.root)?;
    if let Some(path) = start.missing_in(&work).next() {
        let expected = format!("{} in {}", path.display(), folder.display());
        let came = format!("no such file; `cargo course start {}` puts it back", exercise.number.typed());
        return Ok(Verdict::NotYet(Fault::new(expected, came), description.read.clone()));
    }
    let bench = Bench::prepare(workspace, exercise, work)?;
    for step in &description.steps {
        if let Some(fault) = judge_step(&bench, step)? {
            let read = step.read().unwrap_or(&description.read).to_owned();
            return Ok(Verdict::NotYet(fault, read));
        }
    }
    Ok(Verdict::Done)
}

fn judge_step(bench: &Bench<'_>, step: &Step) -> Result<Option<Fault>> {
    match step {
        Step::Test(step) => tested::judge(bench, step),
        Step::Answer(step) => answered::judge(bench, step),
        Step::Boot(step) => booted::judge(bench, step),
        Step::Size(step) => sized::judge(bench, step),
        Step::Instructions(step) => counted::judge(bench, step),
    }
}
