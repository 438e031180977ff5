//! Pictures made from the reader's own build: what an image consists of, where it lies in memory, how it boots, the
//! way of one request through it, and a fault in the simulator.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg(not(target_os = "hermit"))]

mod anatomy;
pub mod cli;
mod cluster;
mod machine;
mod model;
mod picture;
mod render;
