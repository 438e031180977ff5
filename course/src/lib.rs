//! The course: the book in docs/course, and the judge of its exercises.
//!
//! An exercise is a folder of files that this crate contains no code for: see `exercises/README.md`. The judge works on
//! a copy, so that the reader's folder and the repository stay as they are.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)]
#![cfg(not(target_os = "hermit"))]

#[macro_use(note, say)]
extern crate image_build;

pub mod book;
pub mod cli;
pub mod exercise;
pub mod judge;
mod progress;
mod reader;
mod work;
