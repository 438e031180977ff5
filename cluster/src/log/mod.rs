//! The log files of machines: what a line says, and how files are written, kept small and read.

pub mod entry;
pub mod file;
