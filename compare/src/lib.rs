//! The comparison: the same services on several substrates, loaded alike, measured in one run, reported.
//!
//! Starts nothing that outlives it, and builds no image itself: `image-build` does.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg(not(target_os = "hermit"))]

pub mod budget;
mod child;
pub mod cli;
mod client;
mod containment;
pub mod context;
mod counted;
mod exit_check;
mod guest_memory;
pub mod instruction_check;
mod load;
mod measure;
mod peer;
mod plan;
mod record;
mod report;
mod results;
mod run;
mod run_dir;
mod statistics;
mod store_speed;
mod substrate;
pub mod trace;

pub use record::Method;
pub use report::drawing;
