//! The host tool: toolchain, kernel, loader, images and virtual machines.
//!
//! It runs on Linux beside cargo. What runs in a guest is in the other packages and in `loader`.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
pub mod output;

pub mod accelerator;
pub mod backlog;
mod bootable;
pub mod cli;
pub mod cluster;
pub mod command_line;
mod core_library;
pub mod disk_image;
pub mod doctor;
pub mod doors;
pub mod fault;
pub mod guest;
pub mod image;
mod kernel;
mod loader;
pub mod manifest;
pub mod packages;
mod pinned;
pub mod process;
mod program;
mod progress;
pub mod qemu;
pub mod run;
pub mod setup;
pub mod toolchain;
pub mod workspace;
