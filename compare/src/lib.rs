//! The comparison: the same services on several substrates, loaded alike, measured in one run, reported.
//!
//! Starts nothing that outlives it, and builds no image itself: `image-build` does.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg(not(target_os = "hermit"))]

mod budget;
pub mod child;
pub mod cli;
pub mod client;
pub mod compose;
mod conductor;
mod containment;
pub mod context;
pub mod counted;
mod gate;
pub mod load;
pub mod measure;
mod plan;
pub mod qmp;
pub mod record;
pub mod report;
pub mod results;
mod run_dir;
pub mod statistics;
pub mod substrate;
mod trace;
