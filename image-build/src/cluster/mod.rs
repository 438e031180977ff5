//! The whole application as virtual machines of this host: `up`, `down`, `ps`, `logs`, `attach` and `fault`.
//!
//! `up` reads the description (`application`), works out what is to run (`plan`), builds it, and starts a
//! supervisor as a process of its own. The supervisor starts each machine tied to itself, keeps the state
//! file of the folder (`run_dir`), and stops everything when it ends or when its starter does, unless it
//! was let go. Images, QEMU's command line and set-up are not this module's.
//!
//! Architecture invariant: no machine outlives its supervisor, and no supervisor its starter, unless the
//! starter has said so after everything was healthy.

mod access;
pub mod application;
mod attach;
mod disks;
mod down;
mod environment;
pub mod event;
mod faults;
pub mod identity;
mod interrupt;
mod log_entry;
mod log_file;
mod log_view;
mod logs;
pub mod machine;
pub mod network;
pub mod options;
mod overrides;
pub mod plan;
mod ports;
mod probe;
mod progress;
mod ps;
mod restart;
pub mod run_dir;
mod style;
mod summary;
mod supervise;
mod supervisor;
mod targets;
mod template;
mod up;

use std::env;
use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::workspace::Workspace;
use run_dir::RunDir;

pub use access::Access;
pub use supervise::supervise;

/// `cargo up`.
///
/// # Errors
/// With what is wrong and how to mend it; then nothing was left running.
pub fn up(workspace: &Workspace, options: &options::UpOptions) -> Result<ExitCode> {
    up::up(workspace, &run_dir(workspace)?, options)
}

/// `cargo down`.
///
/// # Errors
/// When something cannot be stopped.
pub fn down(workspace: &Workspace) -> Result<()> {
    down::down(&run_dir(workspace)?)
}

/// `cargo ps`.
///
/// # Errors
/// When the state file cannot be read.
pub fn ps(workspace: &Workspace, options: options::PsOptions) -> Result<()> {
    ps::ps(&run_dir(workspace)?, options)
}

/// `cargo logs`.
///
/// # Errors
/// When there are no logs of what was asked for.
pub fn logs(workspace: &Workspace, options: &options::LogsOptions) -> Result<()> {
    logs::logs(&run_dir(workspace)?, options)
}

/// `cargo attach`.
///
/// # Errors
/// When there is no such machine, or its symbols are not those of what runs.
pub fn attach(workspace: &Workspace, options: &options::AttachOptions) -> Result<ExitCode> {
    attach::attach(&run_dir(workspace)?, options)
}

/// `cargo fault`.
///
/// # Errors
/// When no application runs on a network of its own, or the order is wrong.
pub fn fault(workspace: &Workspace, options: &options::FaultOptions) -> Result<()> {
    faults::fault(&run_dir(workspace)?, options)
}

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
