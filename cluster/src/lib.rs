//! The compose of unikernels: the application as virtual machines of this host.
//!
//! `up` reads the description (`application`), works out what is to run (`plan`), builds it, and starts a
//! supervisor as a process of its own. The supervisor starts each machine tied to itself, keeps the state
//! file of the folder (`state`), and stops everything when it ends or when its starter does, unless it
//! was let go. Images and QEMU's command line are `image-build`'s.
//!
//! Architecture invariants: no machine outlives its supervisor, and no supervisor its starter, unless the
//! starter has said so after everything was healthy. Arrows between the folders run from `commands` down the list
//! below, never back.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use(note, say)]
extern crate image_build;

pub mod application;
pub mod commands;
mod log;
pub mod network;
pub mod plan;
pub mod state;
pub mod supervisor;
mod terminal;

pub mod cli;
