//! "Compose" for unikernels: it runs an application as virtual machines on this host.
//!
//! `up` reads the description (`application`), decides what to run (`plan`), builds it, and starts a supervisor as a
//! separate process. The supervisor starts each machine bound to itself, keeps the state file of the folder
//! (`state`), and stops everything when it ends. It also stops everything when its starter ends, unless the starter
//! has detached it. `image-build` makes images and QEMU's command line.
//!
//! Architecture invariants: no machine outlives its supervisor. No supervisor outlives its starter, unless the
//! starter has detached it after everything was healthy. Dependencies between the folders go from `commands` down the
//! list below, never back.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use(note, say)]
extern crate image_build;

pub mod application;
pub mod commands;
pub mod log;
pub mod network;
pub mod plan;
pub mod state;
pub mod supervisor;
mod terminal;

pub mod cli;
