//! The commands: each parses its options (`options`), calls the other modules, and prints.

pub mod attach;
mod description;
pub mod doctor;
pub mod down;
pub mod fault;
pub mod logs;
pub mod options;
pub mod ps;
pub mod supervise;
pub mod up;

use std::env;

use anyhow::{Result, ensure};
use image_build::tool::workspace::Workspace;

use crate::state::run_dir::RunDir;

/// The variable that tells applications of one clone apart, as compose's project name does.
const PROJECT: &str = "VOTING_APP_PROJECT";
/// The application that is meant when the variable is not set.
const PROJECT_DEFAULT: &str = "run";

/// The folder of the application that this process is about.
///
/// # Errors
/// When it cannot be made, or is named in a way that it cannot be.
pub fn run_dir(workspace: &Workspace) -> Result<RunDir> {
    let project = env::var(PROJECT).unwrap_or_else(|_| PROJECT_DEFAULT.to_owned());
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ensure!(
        !project.is_empty() && project.chars().all(allowed),
        "{PROJECT}={project:?} cannot be used: give letters, digits, - and _"
    );
    let targets = workspace.state()?.join(format!("targets-{project}.json"));
    Ok(RunDir::open(workspace.runs()?.join(project))?.with_targets(Some(targets)))
}
